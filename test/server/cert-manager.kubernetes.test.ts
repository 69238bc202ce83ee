/** A root that a real cert-manager keeps: `init` takes it, and each renewal begins a rotation with it, by the stages of every rotation. */
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {init} from '../../src/lib/ops/init.js'
import {readCertifiedKey} from '../../src/lib/pki/signed.js'
import {openCluster} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {startCertManager} from '../helpers/kubernetes/cert-manager.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {until} from '../store/recorder.js'

const local = {host: '127.0.0.1', port: 0}
const YEARS = '87600h'

interface Asked {
  readonly issuer: 'company' | 'itself'
  readonly rotationPolicy: 'Always' | 'Never'
}

const cases: readonly Asked[] = [
  {issuer: 'company', rotationPolicy: 'Always'},
  {issuer: 'itself', rotationPolicy: 'Never'},
]

for (const asked of cases)
  describe(`server: a root of cert-manager, signed by ${asked.issuer}, rotationPolicy ${asked.rotationPolicy}`, function () {
    this.timeout(60_000)
    let kubernetes: Kubernetes
    let namespace = ''
    let endCertManager: (() => Promise<void>) | undefined
    const stores: StateStore[] = []
    const servers: Serving[] = []
    const open = async (secrets: 'all' | readonly string[]): Promise<StateStore> => {
      const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets})
      stores.push(store)
      return store
    }

    const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
      const {code, stdout, stderr} = await kubernetes.kubectl(['--namespace', namespace, ...args], input === undefined ? {} : {input})
      if (code !== 0) throw new Error(stderr)
      return stdout
    }
    const fleet = async (): Promise<Fleet> => (await open('all')).load()
    const offered = async (): Promise<string | undefined> => (await fleet()).offeredRoots.get('atlas-authority')?.certificate

    before(async () => {
      kubernetes = await sharedKubernetes()
      namespace = await kubernetes.newNamespace('authority')
      endCertManager = await startCertManager(kubernetes, namespace)
      await kubectl(['apply', '-f', '-'], objects(asked))
      await until(async () => (await offered()) !== undefined, 30_000)
    })
    after(async () => {
      for (const server of servers) await server.stop()
      for (const store of stores) store.close()
      await endCertManager?.()
    })

    it('becomes the root at init, and its renewal begins a rotation with the renewed certificate', async () => {
      await init(await open(['atlas-ca', 'atlas-authority']), {}, dependencies, {rootSecret: 'atlas-authority'})
      const first = (await fleet()).authority.get('root')
      expect(first?.certificate).to.equal((await offered())?.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/)?.[0])
      servers.push(await serve({store: await open('all'), dependencies, replica: 'ads-0', listen: local, admin: local, log: 'silent'}))
      await until(async () => (await fleet()).trust !== undefined, 20_000)
      expect((await fleet()).rotation, 'the root in force is the one that is offered').to.equal(undefined)

      await kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', '{"spec":{"renewBefore":"87599h59m50s"}}'])
      await until(async () => (await fleet()).rotation?.part === 'root', 40_000)
      await until(async () => (await fleet()).authority.has('nextCredentialIssuer') && (await fleet()).trust?.roots.length === 2, 10_000)
      const {authority, rotation, trust} = await fleet()
      const [root, nextRoot, nextIssuer] = [authority.get('root'), authority.get('nextRoot'), authority.get('nextIssuer')]
      if (root === undefined || nextRoot === undefined || nextIssuer === undefined) throw new Error('the next certificates are there')
      expect(rotation?.stage, 'the observability Envoy is waited for').to.equal('announce')
      expect(root.certificate, 'the former one still signs').to.equal(first?.certificate)
      expect(trust?.roots).to.deep.equal([root.certificate, nextRoot.certificate])
      expect(readCertifiedKey(nextIssuer, [nextRoot.certificate]).signedBy).not.to.equal(undefined)
      expect(root.key.reveal() === nextRoot.key.reveal()).to.equal(asked.rotationPolicy === 'Never')
    })
  })

function objects({issuer, rotationPolicy}: Asked): string {
  const object = (kind: string, name: string, spec: object): object => ({apiVersion: 'cert-manager.io/v1', kind, metadata: {name}, spec})
  const ca = {isCA: true, duration: YEARS, privateKey: {algorithm: 'ECDSA', size: 256, rotationPolicy}}
  const template = {labels: {'goatlas.io/authority': 'root'}}
  const items = [
    object('Issuer', 'itself', {selfSigned: {}}),
    object('Certificate', 'company', {...ca, commonName: 'Company', secretName: 'company', issuerRef: {name: 'itself'}}),
    object('Issuer', 'company', {ca: {secretName: 'company'}}),
    object('Certificate', 'authority', {
      ...ca,
      commonName: 'Atlas',
      secretName: 'atlas-authority',
      secretTemplate: template,
      issuerRef: {name: issuer},
    }),
  ]
  return JSON.stringify({apiVersion: 'v1', kind: 'List', items})
}
