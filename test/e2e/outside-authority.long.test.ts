/**
 * In an installation on Kubernetes what signs is replaced by what people bring, to the end and under load: a root whose key is kept offline, its
 * next issuer, and two intermediates in the place of a root.
 */
import {expect} from 'chai'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {makeOfflineRoot, runPrinted} from '../helpers/offline-root.js'
import type {Ran} from '../helpers/ran.js'
import {inSteps} from '../helpers/steps.js'
import {type Installation, openInstallation} from './installation.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Pipeline, type RotationRecorder, expectOneRotation, quickRotation, recordRotation, startPipeline} from './rotating.js'
import {expectForgotten} from './retired.js'

describe('e2e: an authority that people bring, on Kubernetes', function () {
  this.timeout(600_000)
  inSteps()
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-outside-'))
  const [root, other] = [makeOfflineRoot(folder), makeOfflineRoot(folder, 'other')]
  let network: Installation
  let pipeline: Pipeline | undefined

  before(async () => {
    const kubernetes = await sharedKubernetes()
    network = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], ads: 2, controllers: 2, ...quickRotation})
    await untilReachable(network)
    await untilSynced(network)
    pipeline = startPipeline(network)
  })
  after(async () => {
    await pipeline?.stop()
    await network.close()
    rmSync(folder, {recursive: true})
  })

  const as = async (...args: readonly string[]): Promise<Ran> => {
    const ran = await network.run(args, network.person)
    expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).to.equal(0)
    return ran
  }
  const wait = ['--yes', '--wait', '--timeout', '300s']
  const keysOf = async (secret: string): Promise<readonly string[]> =>
    Object.keys((await network.get(`secrets/${secret}`))?.data ?? {}).sort()

  /** Runs `act` under load. */
  async function rotating(act: () => Promise<void>): Promise<RotationRecorder> {
    const former = await network.fleet()
    const recorder = await recordRotation(network.store)
    const running = load(network, undefined, {streams: false, reconnects: true})
    await act()
    await until(network, 'the rotation to be over here, too', () => recorder.fleet().rotation === undefined)
    await untilSynced(network)
    recorder.stop()
    if (recorder.fleet().trust?.roots.join() !== former.trust?.roots.join()) {
      expectOneRotation(recorder, 'root', former)
      await expectForgotten(network, former, await network.fleet())
    }
    await untilReachable(network)
    expect(await running.stop()).to.be.greaterThan(100)
    return recorder
  }

  it('a root is refused to a person who may not create Secrets, and nothing is changed', async () => {
    const requests = path.join(folder, 'root-requests')
    runPrinted(await as('rotate', '--root', '--request', requests), requests, {root: root.ca, next: root.ca})
    const before = await network.fleet()
    const bring = ['rotate', '--root', '--ca-cert', root.ca.files.certificate, '--certificate', requests, ...wait]
    const {code, stderr} = await network.run(bring, network.person)
    expect(code).to.equal(1)
    expect(stderr).to.contain('may not').and.to.contain('secrets')
    const {rotation, authority, requests: asked} = await network.fleet()
    expect([rotation, [...authority.keys()], asked.size]).to.deep.equal([undefined, [...before.authority.keys()], before.requests.size])
  })

  it('with that right its root, whose key stays offline, replaces the one that Atlas has made', async () => {
    await network.kubectl(['apply', '-f', '-'], {input: rightToCreate()})
    const requests = path.join(folder, 'root-requests')
    await rotating(async () => {
      const {stderr} = await as('rotate', '--root', '--ca-cert', root.ca.files.certificate, '--certificate', requests, ...wait)
      expect(stderr).to.contain('The root is replaced.')
    })
    expect((await network.fleet()).trust?.roots).to.deep.equal([root.ca.certificate])
    expect(await keysOf('atlas-ca')).to.deep.equal(['ca.pem'])
    expect(await keysOf('atlas-issuer')).to.deep.equal(['ca-key.pem', 'ca.pem'])
  })

  it('its next issuer replaces the issuer, and no credential', async () => {
    const requests = path.join(folder, 'issuer-requests')
    const before = await network.fleet()
    runPrinted(await as('rotate', '--issuer', '--request', requests), requests, {root: root.ca, next: root.ca})
    const recorder = await rotating(async () => {
      expect((await as('rotate', '--issuer', '--certificate', requests, ...wait)).stderr).to.contain('The issuer is replaced.')
    })
    expect(recorder.history().stages).to.deep.equal(['announce', 'leaves', 'retire'])
    const after = await network.fleet()
    expect(after.trust?.issuers).to.have.length(1).and.not.include(before.trust?.issuers[0])
    expect(after.trust?.roots).to.deep.equal(before.trust?.roots)
    const certificates = ({credentials}: typeof before): readonly string[] => [...credentials.values()].map(({certificate}) => certificate)
    expect(certificates(after)).to.deep.equal(certificates(before))
  })

  it('two intermediates of another CA, with their keys, replace it; the issuer is then the root', async () => {
    const flags = (['issuer', 'credentialIssuer'] as const).flatMap(part => {
      const name = part === 'issuer' ? 'issuer' : 'credential-issuer'
      const {certificate, key} = other.issue(part)
      const [file, keyFile] = [path.join(folder, `${name}.pem`), path.join(folder, `${name}-key.pem`)]
      writeFileSync(file, certificate)
      writeFileSync(keyFile, key.reveal(), {mode: 0o600})
      return [`--${name}-cert`, file, `--${name}-key`, keyFile]
    })
    await rotating(async () => {
      expect((await as('rotate', '--root', ...flags, ...wait)).stderr).to.contain('The root is replaced.')
    })
    const {trust} = await network.fleet()
    expect(trust?.roots).to.deep.equal(trust?.issuers)
    expect(await keysOf('atlas-ca')).to.deep.equal(['ca.pem'])
  })
})

/** What docs/how-to/own-authority.md asks for beside Role atlas-cluster-admin; for `kubectl apply`. */
function rightToCreate(): string {
  const metadata = {name: 'bring-root'}
  const [apiVersion, apiGroup] = ['rbac.authorization.k8s.io/v1', 'rbac.authorization.k8s.io']
  const items = [
    {apiVersion, kind: 'Role', metadata, rules: [{apiGroups: [''], resources: ['secrets'], verbs: ['create']}]},
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata,
      roleRef: {apiGroup, kind: 'Role', name: metadata.name},
      subjects: [{apiGroup, kind: 'User', name: 'kim'}],
    },
  ]
  return JSON.stringify({apiVersion: 'v1', kind: 'List', items})
}
