/**
 * A root that a real cert-manager keeps: `init` takes it, and its renewal begins a rotation with it. To the end of that rotation, with real
 * Envoys: test/e2e/cert-manager.long.test.ts.
 */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {init} from '../../src/lib/ops/init.js'
import {readCertifiedKey} from '../../src/lib/pki/signed.js'
import {openCluster} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {serve} from '../../src/server/serve.js'
import {
  AUTHORITY_SECRET,
  type AskedRoot,
  askedRoots,
  certificateObjects,
  describeAsked,
  livingFor,
  renewedAfter,
  startCertManager,
} from '../helpers/kubernetes/cert-manager.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {until} from '../store/recorder.js'

const local = {host: '127.0.0.1', port: 0}

describe('server: a root of cert-manager becomes the root at init, and its renewal begins a rotation with the renewed certificate', function () {
  this.timeout(400_000)
  let kubernetes: Kubernetes
  const ends: (() => Promise<void> | void)[] = []
  /** All at the same time: each mostly waits for cert-manager. */
  const runs = new Map<AskedRoot, Promise<void>>()
  let short: Promise<void> | undefined

  before(async () => {
    kubernetes = await sharedKubernetes()
    ends.push(await startCertManager(kubernetes))
    for (const asked of askedRoots) {
      const run = follow(asked)
      run.catch(() => undefined)
      runs.set(asked, run)
    }

    short = followShort()
    short.catch(() => undefined)
  })
  after(async () => {
    await Promise.allSettled([...runs.values(), short])
    for (const end of ends.reverse()) await end()
  })

  for (const asked of askedRoots)
    it(describeAsked(asked), async () => {
      await runs.get(asked)
    })

  it('a renewal that lives for an hour is refused, and named on its Secret, until that has the annotation for any age', async () => {
    await short
  })

  async function followShort(): Promise<void> {
    const {kubectl, fleet, offered, server} = await begin({issuer: 'company', rotationPolicy: 'Always', algorithm: 'ECDSA', size: 256})
    const first = await offered()
    await kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', livingFor(1, {anyAge: false})])
    await until(async () => ![undefined, first].includes(await offered()), 150_000)
    const renewed = await offered()
    const reason = /Secret atlas-authority .*goatlas\.io\/any-age/
    await until(() => server.report().warnings.some(warning => reason.test(warning)), 90_000)
    await until(async () =>
      reason.test(await kubectl(['get', 'events', '-o', 'jsonpath={range .items[?(@.reason=="NotTaken")]}{.message}{end}'])),
    )
    expect((await fleet()).rotation, 'refused').to.equal(undefined)

    await kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', livingFor(1, {anyAge: true})])
    await until(async () => (await fleet()).authority.has('nextRoot'), 150_000)
    expect((await fleet()).rotation?.part).to.equal('root')
    expect(renewed?.startsWith((await fleet()).authority.get('nextRoot')?.certificate ?? 'none'), 'the very certificate').to.equal(true)
  }

  /** A server of a namespace of its own, whose root is that of cert-manager. */
  async function begin(asked: AskedRoot) {
    const namespace = await kubernetes.newNamespace('authority')
    const open = async (secrets: 'all' | readonly string[]): Promise<StateStore> => {
      const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets})
      ends.push(() => {
        store.close()
      })
      return store
    }
    const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
      const {code, stdout, stderr} = await kubernetes.kubectl(['--namespace', namespace, ...args], input === undefined ? {} : {input})
      if (code !== 0) throw new Error(stderr)
      return stdout
    }
    const reader = await open('all')
    const fleet = async (): Promise<Fleet> => reader.load()
    const offered = async (): Promise<string | undefined> => (await fleet()).offeredRoots.get(AUTHORITY_SECRET)?.certificate

    await kubectl(['apply', '-f', '-'], certificateObjects(asked))
    await until(async () => (await offered()) !== undefined, 150_000)
    await init(await open(['atlas-ca', AUTHORITY_SECRET]), {}, dependencies, {rootSecret: AUTHORITY_SECRET})
    const first = (await fleet()).authority.get('root')
    expect(first?.certificate).to.equal((await offered())?.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/)?.[0])
    const server = await serve({store: await open('all'), dependencies, replica: 'ads-0', listen: local, admin: local, log: 'silent'})
    ends.push(async () => server.stop())
    await until(async () => (await fleet()).trust !== undefined, 90_000)
    expect((await fleet()).rotation, 'the root in force is the one that is offered').to.equal(undefined)
    return {kubectl, fleet, offered, server, first}
  }

  async function follow(asked: AskedRoot): Promise<void> {
    const {kubectl, fleet, first} = await begin(asked)
    await kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', renewedAfter(10)])
    await until(async () => (await fleet()).rotation?.part === 'root', 150_000)
    await until(async () => (await fleet()).authority.has('nextCredentialIssuer') && (await fleet()).trust?.roots.length === 2, 90_000)
    const {authority, rotation, trust} = await fleet()
    const [root, nextRoot, nextIssuer] = [authority.get('root'), authority.get('nextRoot'), authority.get('nextIssuer')]
    if (root === undefined || nextRoot === undefined || nextIssuer === undefined) throw new Error('the next certificates are there')
    expect(rotation?.stage, 'the observability Envoy is waited for').to.equal('announce')
    expect(root.certificate, 'the former one still signs').to.equal(first?.certificate)
    expect(trust?.roots).to.deep.equal([root.certificate, nextRoot.certificate])
    expect(readCertifiedKey(nextIssuer, [nextRoot.certificate]).signedBy).not.to.equal(undefined)
    expect(root.key.reveal() === nextRoot.key.reveal()).to.equal(asked.rotationPolicy === 'Never')
  }
})
