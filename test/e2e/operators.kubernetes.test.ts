/** Registrations of any origin, requests, and the rights of an operator, with real servers and Envoys on a real API server. */
import {expect} from 'chai'
import {spawn} from 'node:child_process'
import {setTimeout as sleep} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {askAds} from '../../src/demo/lab/ads-client.js'
import type {TlsTarget} from '../../src/demo/lab/tls-probe.js'
import {credentialIn, identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type ClusterName, parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {readKey} from '../../src/lib/pki/read.js'
import {atlasBin} from '../helpers/atlas.js'
import {ranOf} from '../helpers/ran.js'
import {openVictim} from './cut-off.js'
import {type Installation, registrationOf} from './installation.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import {sharedInstallation} from './shared-installation.js'
import {serverPort} from './mtls-ports.js'

describe('e2e: the operators on Kubernetes', function () {
  this.timeout(300_000)
  let network: Installation

  before(async () => {
    network = await sharedInstallation()
  })
  after(async () => {
    for (const {name} of (await network.fleet()).registrations.values())
      if (!network.members.has(name)) await removeCluster(network.store, name, dependencies, {waitMs: 60_000})
  })

  /** The objects that the controller has made for a cluster, without values that differ between clusters. */
  async function madeFor(name: string): Promise<unknown> {
    const fleet = await network.fleet()
    const owner = parseClusterName(name)
    const derived = [...fleet.derived].filter(([object]) => object.includes(`/${name}-`))
    const {credentials, ...record} = fleet.records.get(owner) ?? expect.fail(`there is no record of ${name}`)
    const {type} = (await network.get<{type: string}>(`secrets/${name}-envoy-ads`)) ?? expect.fail('there is no credential')
    const uris = [identityIn(fleet, owner), credentialIn(fleet, owner)].map(key => readKey(key).uris)
    const own = {
      derived,
      record,
      type,
      uris,
      credentials: credentials.map(({state}) => state),
      endpoint: fleet.endpoints?.text.includes(name),
    }
    return JSON.parse(
      JSON.stringify(own)
        .replaceAll(network.requestFor(name).addresses?.[0]?.host ?? '', 'ADDRESS')
        .replaceAll(network.requestFor(name).services?.thanos?.host ?? '', 'SIDECAR')
        .replaceAll(name, 'NAME'),
    ) as unknown
  }

  const untilMade = async (name: string): Promise<void> =>
    until(network, `all that belongs to ${name}`, async () => {
      const {derived, credentials, endpoints} = await network.fleet()
      return (
        endpoints?.text.includes(name) === true &&
        credentials.has(parseClusterName(name)) &&
        derived.has(`Service/${name}-thanos-sidecar0`) &&
        derived.has(`Secret/${name}-envoy-values`)
      )
    })

  it('a registration by kubectl apply, by a GitOps tool and by cluster add end in the same objects', async () => {
    await network.kubectl(['apply', '-f', '-'], {input: registrationOf(network, 'hand')})
    await network.kubectl(['apply', '--server-side', '--field-manager', 'argocd-controller', '-f', '-'], {
      input: registrationOf(network, 'gitops'),
    })
    const {addresses = [], services} = network.requestFor('command')
    const flags = ['--address', addresses[0]?.host ?? '', '--thanos', `${services?.thanos?.host ?? ''}:10901`]
    const others = [
      '--prometheus',
      'prometheus.monitoring.svc.cluster.local:9090',
      '--alertmanager',
      'alertmanager.monitoring.svc.cluster.local:9093',
    ]
    const added = await network.run(['cluster', 'add', 'command', ...flags, ...others, '--wait'])
    expect(added.code, added.stderr).to.equal(0)
    for (const name of ['hand', 'gitops', 'command']) await untilMade(name)
    const all = async (): Promise<readonly unknown[]> => Promise.all(['command', 'hand', 'gitops'].map(madeFor))
    const isSame = async (): Promise<boolean> => (await all()).every((each, _, [first]) => isDeepStrictEqual(each, first))
    await until(network, 'the same objects', isSame).catch(() => undefined)
    const [made, ...rest] = await all()
    expect(rest).to.deep.equal([made, made])
    // The controller writes nothing into a registration, which other programs own.
    expect((await network.get('services/hand'))?.metadata.labels).to.deep.equal({'goatlas.io/cluster': ''})
  })

  /** Resource versions of all objects except reports and Leases. */
  async function versions(): Promise<Readonly<Record<string, string>>> {
    const {revisions} = await network.fleet()
    const own = /^ConfigMap\/atlas-(proxies-|replicas)/
    return Object.fromEntries([...revisions].filter(([object]) => !own.test(object)))
  }

  it('a controller that is started late, restarted, or newly elected reaches the same state, and writes nothing twice', async () => {
    const made = await madeFor('command')
    await Promise.all(network.controllers.map(async controller => controller.stop()))
    await network.kubectl(['apply', '-f', '-'], {input: registrationOf(network, 'late')})
    await sleep(300)
    expect((await network.fleet()).records.has(parseClusterName('late')), 'nobody leads').to.equal(false)
    await network.controllers[0]?.start()
    await untilMade('late')
    await until(network, 'the same state', async () => isDeepStrictEqual(await madeFor('late'), made))

    await until(network, 'the controller to be at rest', async () => {
      const before = JSON.stringify(await versions())
      await sleep(1500)
      return before === JSON.stringify(await versions())
    })
    const before = await versions()
    await network.controllers[1]?.start()
    await network.controllers[1]?.untilReady()
    await network.controllers[0]?.stop()
    await until(network, 'the other one to lead', async () => (await network.leader()).name === 'controller-1')
    await sleep(500)
    expect(await versions()).to.deep.equal(before)
    await network.controllers[0]?.start()
    await network.controllers[0]?.untilReady()
  })

  /** Of cluster milan, as a person with that Role; its registration is deleted and made again while it is revoked. */
  async function revokeAndRestore(as: (...args: string[]) => Promise<string>): Promise<void> {
    const milan = parseClusterName('milan')
    expect(await as('cluster', 'revoke', 'milan', '--yes', '--dry-run')).to.contain('remove the ADS credential of milan')
    expect(await as('cluster', 'revoke', 'milan', '--yes', '--wait'))
      .to.contain('Revoked: cluster milan')
      .and.to.contain('after 11m')
    expect(await network.get('secrets/milan-envoy-ads')).to.equal(undefined)
    expect(await as('cluster', 'list')).to.match(/milan +revoked +no/)
    expect((await network.run(['cluster', 'add', 'milan', '--address', '203.0.113.11'], network.person)).code).to.equal(4)

    await network.kubectl(['delete', 'service', 'milan'])
    await until(network, 'the leader to notice', async () => (await network.fleet()).records.get(milan)?.suspendedSince !== undefined)
    await network.kubectl(['apply', '--server-side', '-f', '-'], {input: registrationOf(network, 'milan')})
    await until(network, 'the leader to notice', async () => (await network.fleet()).records.get(milan)?.suspendedSince === undefined)
    expect(await network.get('secrets/milan-envoy-ads')).to.equal(undefined)

    expect(await as('cluster', 'restore', 'milan', '--wait')).to.contain('Cluster milan is restored')
    const uris = async (): Promise<readonly string[]> => readKey(credentialIn(await network.fleet(), milan)).uris
    expect(await uris()).to.deep.equal(['spiffe://atlas.internal/ads-client/milan/2'])
    const [sha256 = ''] =
      (await network.fleet()).records.get(milan)?.credentials.flatMap(each => (each.state === 'valid' ? [each.sha256] : [])) ?? []
    expect(await as('cluster', 'revoke', 'milan', '--credential', sha256.slice(0, 16), '--reissue', '--yes', '--wait')).to.contain(sha256)
    expect(await as('cluster', 'revoke', 'milan', '--reissue', '--yes', '--wait')).to.contain('Warning: a new credential')
    expect(await uris()).to.deep.equal(['spiffe://atlas.internal/ads-client/milan/3'])
  }

  it('a person with Role atlas-cluster-admin adds, changes, lists, renews, revokes and removes, and can read no Secret', async () => {
    const {person} = network
    const as = async (...args: string[]): Promise<string> => {
      const {code, stdout, stderr} = await network.run(args, person)
      expect(code, `${args.join(' ')}: ${stderr}`).to.equal(0)
      return stdout + stderr
    }
    const before = readKey(identityIn(await network.fleet(), parseClusterName('lyon'))).serial
    const [added] = await Promise.all([as('cluster', 'add', 'milan', '--address', '203.0.113.9', '--wait'), as('rotate', 'lyon', '--wait')])
    expect(added).to.contain('Cluster milan is registered')
    expect((await network.fleet()).records.get(parseClusterName('milan'))?.credentials).to.have.length(1)
    expect(readKey(identityIn(await network.fleet(), parseClusterName('lyon'))).serial).not.to.equal(before)
    const changed = await as('cluster', 'add', 'milan', '--address', '203.0.113.10', '--group', 'eu', '--wait')
    expect(changed).to.contain('address: 203.0.113.9 -> 203.0.113.10').and.to.contain('group: - -> eu')
    expect(await as('cluster', 'list')).to.match(/milan +registered +no +203\.0\.113\.10/)
    await revokeAndRestore(as)
    expect(await as('cluster', 'remove', 'milan', '--yes', '--dry-run')).to.contain('would be removed')
    expect(await as('cluster', 'remove', 'milan', '--yes', '--wait')).to.contain('Cluster milan is removed')
    expect(await network.get('services/milan')).to.equal(undefined)
    expect(await network.get('secrets/milan-envoy-ads')).to.equal(undefined)

    // Every Secret by name: test/charts/rights.kubernetes.test.ts.
    const {stdout} = await network.kubernetes.kubectl(['auth', 'can-i', 'get', 'secrets/atlas-ca', '-n', network.namespace], {
      kubeconfig: person,
    })
    expect(stdout.trim()).to.equal('no')
    const refused = await network.run(['cluster', 'values', 'lyon', '--format', 'secret', '--show-secrets'], person)
    expect(refused.code).to.equal(1)
    expect(refused.stderr).to.contain('may not').and.to.contain('resources: ["secrets"]')
    await network.kubectl(['get', 'secret', 'atlas-ca'], {kubeconfig: person}).then(
      () => expect.fail('the root can be read'),
      (error: unknown) => expect(String(error)).to.contain('forbidden'),
    )
  })

  it('a person with that Role has the issuer replaced, and watches it to its end; no request fails', async () => {
    const {person} = network
    const former = (await network.fleet()).trust?.issuers ?? []
    const running = load(network)
    // The clusters of the tests before this one have no Envoys.
    const skip = [...(await network.fleet()).registrations.keys()].filter(name => !network.members.has(name))
    // A cluster without an Envoy, which is not skipped: the first stage waits for it until the command shows that stage.
    await network.register('held')
    const where = ['--kubeconfig', person, '--namespace', network.namespace]
    const args = ['rotate', '--issuer', ...skip.flatMap(name => ['--skip', name]), '--wait', '--timeout', '240s', ...where]
    const {ATLAS_STORE: _, ...env} = process.env
    const child = spawn(process.execPath, [atlasBin, ...args], {env, stdio: ['ignore', 'pipe', 'pipe']})
    const ended = ranOf(child)
    let said = ''
    child.stderr.on('data', chunk => (said += String(chunk)))
    await until(
      network,
      'the command to show the first stage',
      () => said.includes('stage 1 of 3 (announce)') || child.exitCode !== null,
      90,
    )
    await removeCluster(network.store, 'held', dependencies, {waitMs: 60_000})
    const {code, stderr} = await ended
    expect(code, stderr).to.equal(0)
    expect(stderr).to.contain(`Left behind: ${skip.sort().join(', ')}.`)
    expect(stderr).to.contain('The issuer is being rotated: stage 1 of 3 (announce)').and.to.contain('The issuer is replaced.')
    const {trust, rotation, authority} = await network.fleet()
    expect(rotation).to.equal(undefined)
    expect(trust?.issuers).to.have.length(1).and.not.include(former[0])
    expect([...authority.keys()].sort()).to.deep.equal(['credentialIssuer', 'issuer', 'root'])
    const shown = await network.run(['rotate', '--status'], person)
    expect(shown.stdout).to.match(/^issuer +- /m)
    await untilSynced(network)
    expect(await running.stop()).to.be.greaterThan(100)
  })

  const targets = async (): Promise<readonly TlsTarget[]> => {
    const fleet = await network.fleet()
    return network.ads.map(({listen}) => ({...serverPort(network, fleet), ...listen}))
  }

  it('deleting a registration suspends: within 10 s requests are refused both ways, and its certificates are kept; re-created, it works again', async () => {
    const paris = parseClusterName('paris')
    const before = await network.fleet()
    const others = load(network, ['lyon'])
    const victim = await openVictim(network, before, paris, await targets())
    const registration = await network.kubectl(['get', 'service', 'paris', '-o', 'json'])
    await network.kubectl(['delete', 'service', 'paris'])
    await victim.untilCutOff()
    victim.close()
    // Servers cut it off by its registration alone; the leader writes that down.
    await until(network, 'the leader to suspend it', async () => {
      const {records, derived} = await network.fleet()
      return records.get(paris)?.suspendedSince !== undefined && !derived.has('Service/paris-thanos-sidecar0')
    })
    const suspended = await network.fleet()
    expect(identityIn(suspended, paris).certificate).to.equal(identityIn(before, paris).certificate)
    expect(credentialIn(suspended, paris).certificate).to.equal(credentialIn(before, paris).certificate)

    // As a GitOps tool would: the same manifest is applied again.
    const {metadata, spec, ...kind} = JSON.parse(registration) as {metadata: Record<string, unknown>; spec: Record<string, unknown>}
    const {name, labels, annotations} = metadata
    const again = {
      ...kind,
      metadata: {name, labels, annotations},
      spec: {clusterIP: spec['clusterIP'], ports: spec['ports']},
      status: undefined,
    }
    await network.kubectl(['apply', '--server-side', '--field-manager', 'flux', '-f', '-'], {input: JSON.stringify(again)})
    await untilReachable(network, ['paris'])
    await untilSynced(network)
    const isOver = async (): Promise<boolean> => (await network.fleet()).records.get(paris)?.suspendedSince === undefined
    await until(network, 'the leader to end the suspension', isOver)
    const restored = await network.fleet()
    expect(restored.records.get(paris)).to.deep.equal(before.records.get(paris))
    expect(identityIn(restored, paris).certificate).to.equal(identityIn(before, paris).certificate)
    expect(await others.stop()).to.be.greaterThan(20)
  })

  /** The credential of before is refused by every server; with the one in the store the Envoy of the cluster works again. */
  async function onlyNewOpens(before: Fleet, cluster: ClusterName): Promise<void> {
    const stolen = credentialIn(before, cluster)
    for (const target of await targets()) expect((await askAds(target, stolen, {cluster, id: 'thief'})).grpcStatus).to.equal(7)
    const {envoy} = network.member(cluster)
    await envoy.kill()
    await envoy.writeFiles()
    await envoy.start()
    await untilReachable(network, [cluster])
  }

  it('cluster revoke: within 10 s requests are refused both ways; nothing is issued until cluster restore, and then only the new credential opens', async () => {
    const paris = parseClusterName('paris')
    const before = await network.fleet()
    const others = load(network, ['lyon'])
    const victim = await openVictim(network, before, paris, await targets())
    const revoked = await network.run(['cluster', 'revoke', 'paris', '--yes', '--wait'], network.person)
    expect(revoked.code, revoked.stderr).to.equal(0)
    await victim.untilCutOff()
    victim.close()
    expect(await network.get('secrets/paris-envoy-ads')).to.equal(undefined)
    const asked = await network.run(['rotate', '--ads', 'paris', '--wait'], network.person)
    expect(asked.code).not.to.equal(0)
    expect(asked.stderr.replaceAll(/\s+/g, ' ')).to.match(/cluster paris is revoked since .*: nothing is issued for it/)
    const {identities, credentials} = await network.fleet()
    expect([identities.has(paris), credentials.has(paris)]).to.deep.equal([false, false])

    const restored = await network.run(['cluster', 'restore', 'paris', '--wait'], network.person)
    expect(restored.code, restored.stderr).to.equal(0)
    await onlyNewOpens(before, paris)
    expect(await others.stop()).to.be.greaterThan(20)
  })

  it('cluster remove revokes: within 10 s requests are refused both ways, its keys are destroyed, and re-creating the registration restores nothing', async () => {
    const paris = parseClusterName('paris')
    const before = await network.fleet()
    const others = load(network, ['lyon'])
    const victim = await openVictim(network, before, paris, await targets())
    const removed = await network.run(['cluster', 'remove', 'paris', '--yes', '--wait'], network.person)
    expect(removed.code, removed.stderr).to.equal(0)
    await victim.untilCutOff()
    victim.close()
    const after = await network.fleet()
    expect(after.identities.has(paris)).to.equal(false)
    expect(after.credentials.has(paris)).to.equal(false)
    const denied = ({records}: typeof before): number => records.get(paris)?.denied.length ?? 0
    expect(denied(after) - denied(before)).to.equal(2)
    expect(await others.stop()).to.be.greaterThan(20)

    await network.register('paris')
    await untilMade('paris')
    await onlyNewOpens(before, paris)
  })
})
