/** A root that is kept offline, and one from outside, by the command line on a real API server, with a leader that signs below it. */
import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {openCluster} from '../../src/lib/store/open.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {atlas} from '../helpers/atlas.js'
import type {Ran} from '../helpers/ran.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {makeOfflineRoot, runPrinted} from '../helpers/offline-root.js'
import {inSteps} from '../helpers/steps.js'
import {until} from '../store/recorder.js'

const local = {host: '127.0.0.1', port: 0}

describe('commands on Kubernetes: roots that are kept offline, or come from outside', function () {
  inSteps()
  this.timeout(300_000)
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-offline-'))
  const [root, other] = [makeOfflineRoot(folder), makeOfflineRoot(folder, 'other')]
  const file = (name: string): string => path.join(folder, name)
  const ends: (() => Promise<void> | void)[] = []
  let kubernetes: Kubernetes
  let namespace = ''

  before(async () => {
    kubernetes = await sharedKubernetes()
  })
  after(async () => {
    for (const end of ends.reverse()) await end()
    rmSync(folder, {recursive: true})
  })

  const run = async (...args: readonly string[]): Promise<Ran> =>
    atlas(...args, '--kubeconfig', kubernetes.kubeconfig, '--namespace', namespace)
  const succeed = async (...args: readonly string[]): Promise<Ran> => {
    const ran = await run(...args)
    expect(ran.code, ran.stderr).to.equal(0)
    return ran
  }
  const fleet = async (): Promise<Fleet> => {
    const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
    try {
      return await store.load()
    } finally {
      store.close()
    }
  }
  const keysOf = async (name: string): Promise<readonly string[]> => {
    const {body} = await kubernetes.request<{data?: object}>('GET', `/api/v1/namespaces/${namespace}/secrets/${name}`)
    return Object.keys(body.data ?? {}).sort()
  }
  const begin = async (name: string): Promise<void> => {
    namespace = await kubernetes.newNamespace(name)
  }
  const lead = async (): Promise<void> => {
    const store = await openCluster({cluster: {kubeconfig: kubernetes.kubeconfig, namespace}, secrets: 'all'})
    const server: Serving = await serve({store, dependencies, replica: 'ads-0', listen: local, admin: local, log: 'silent'})
    ends.push(
      () => {
        store.close()
      },
      async () => server.stop(),
    )
    await until(async () => (await fleet()).identities.has(OBSERVABILITY), 90_000)
  }

  const sign = (printed: Ran, requests: string): void => {
    runPrinted(printed, requests, {root: root.ca, next: other.ca})
  }

  /** A new identity of the observability Envoy, below the issuer that is there. */
  async function renews(): Promise<void> {
    const before = (await fleet()).identities.get(OBSERVABILITY)
    await succeed('rotate', 'atlas', '--wait')
    const {identities, authority} = await fleet()
    const identity = identities.get(OBSERVABILITY)!
    expect(identity.certificate).not.to.equal(before?.certificate)
    expect(readKey(identity).chain[0]).to.equal(readKey(authority.get('issuer')!).sha256)
  }

  it('init writes requests and takes the answers; no Secret has the key of the root, and identities are renewed', async () => {
    await begin('offline')
    const requests = file('requests')
    sign(await succeed('init', '--request', requests), requests)
    await succeed('init', '--ca-cert', root.ca.files.certificate, '--certificate', requests, '--address', '203.0.113.7')
    expect(await keysOf('atlas-ca')).to.deep.equal(['ca.pem'])
    expect(await keysOf('atlas-issuer')).to.deep.equal(['ca-key.pem', 'ca.pem'])
    await lead()
    await renews()
    const text = 'The root "O=Example, CN=offline" came from outside. Its key is kept offline: people have issuers signed there.'
    await until(async () => (await succeed('rotate', '--status')).stdout.includes(text), 90_000)
    expect((await run('rotate', '--issuer', '--wait')).stderr.replaceAll(/\s+/g, ' ')).to.contain('the key of the root is kept offline')
  })

  it('while a rotation to another root waits, both issuers are issued again for their keys, and the leader takes both over', async () => {
    const [requests, again] = [file('next'), file('again')]
    await succeed('rotate', '--root', '--request', requests)
    for (const [part, name] of [
      ['issuer', 'issuer'],
      ['credentialIssuer', 'credential-issuer'],
    ] as const) {
      const {certificate, key} = other.issue(part, {days: part === 'issuer' ? 300 : 3000})
      writeFileSync(path.join(requests, `${name}.pem`), certificate)
      writeFileSync(path.join(requests, `${name}-key.pem`), key.reveal())
    }

    await succeed('rotate', '--root', '--yes', '--ca-cert', other.ca.files.certificate, '--certificate', requests, '--no-wait')
    await until(async () => (await fleet()).trust?.issuers.length === 2, 90_000)
    const before = await fleet()
    sign(await succeed('rotate', '--issuer', '--request', again), again)
    expect(readdirSync(again).filter(name => name.endsWith('-key.pem') && !name.includes('ca-'))).to.deep.equal([])
    await succeed('rotate', '--issuer', '--certificate', again)
    const answers = ['issuer.pem', 'next-issuer.pem'].map(name => readFileSync(path.join(again, name), 'utf8'))
    await until(async () => (await fleet()).trust?.issuers.join() === answers.join(), 90_000)
    const {rotation, authority, trust, identities} = await fleet()
    const next = authority.get('nextIssuer')!
    expect(next.key.reveal()).to.equal(before.authority.get('nextIssuer')?.key.reveal())
    expect(rotation).to.deep.include({part: 'root', stage: 'announce'})
    expect(rotation?.given?.issuer).to.equal(readKey(next).sha256)
    expect(trust?.issuers).to.deep.equal([authority.get('issuer')?.certificate, next.certificate])
    expect(authority.get('issuer')?.key.reveal()).to.equal(before.authority.get('issuer')?.key.reveal())
    expect(identities.get(OBSERVABILITY)?.certificate).to.equal(before.identities.get(OBSERVABILITY)?.certificate)
    // The leader says that in its Lease, with the next renewal.
    const text = 'The next root "O=Example, CN=other" came from outside. Its key is kept offline'
    await until(async () => (await succeed('rotate', '--status')).stdout.includes(text), 90_000)
  })

  it('init takes two intermediates with their keys, and the issuer is the root', async () => {
    await begin('intermediates')
    const flags = (['issuer', 'credentialIssuer'] as const).flatMap(part => {
      const name = part === 'issuer' ? 'issuer' : 'credential-issuer'
      const {certificate, key} = root.issue(part)
      writeFileSync(file(`${name}.pem`), certificate)
      writeFileSync(file(`${name}-key.pem`), key.reveal(), {mode: 0o600})
      return [`--${name}-cert`, file(`${name}.pem`), `--${name}-key`, file(`${name}-key.pem`)]
    })
    await succeed('init', '--address', '203.0.113.7', ...flags)
    expect(await keysOf('atlas-ca')).to.deep.equal(['ca.pem'])
    await lead()
    await renews()
    const {trust} = await fleet()
    expect(trust?.roots).to.deep.equal(trust?.issuers)
    const text = /The root "CN=Atlas issuer [0-9a-f]{8}" came from outside, signed by "O=Example, CN=offline"\.\n/
    await until(async () => text.test((await succeed('rotate', '--status')).stdout), 90_000)
  })

  it('the key of a root that Atlas has made is taken out by the documented command, while the leader runs', async () => {
    await begin('patched')
    await succeed('init', '--address', '203.0.113.7')
    await lead()
    expect((await succeed('rotate', '--status')).stdout).not.to.contain('offline')
    const documented = readFileSync('docs/how-to/own-authority.md', 'utf8')
    const [, patch = ''] = /^kubectl -n atlas (patch secret atlas-ca .*)$/m.exec(documented) ?? []
    const kubeconfig = ['--kubeconfig', kubernetes.kubeconfig, '--namespace', namespace]
    // By a shell, which takes the quotes away.
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${patch}`], {encoding: 'utf8'})
      .trimEnd()
      .split('\n')
    const {code, stderr} = await kubernetes.kubectl([...words, ...kubeconfig.slice(2)])
    expect(code, stderr).to.equal(0)
    expect(await keysOf('atlas-ca')).to.deep.equal(['ca.pem'])
    await until(
      async () => (await run('rotate', '--status')).stdout.includes('" is kept offline: people have issuers signed there.'),
      90_000,
    )
    await renews()
    expect(await keysOf('atlas-ca'), 'nothing brings it back').to.deep.equal(['ca.pem'])
  })
})
