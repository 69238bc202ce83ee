/** A snapshot that is edited where the fleet differs is the snapshot that is built in full. */
import {expect} from 'chai'
import fc from 'fast-check'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type ClusterName, parseClusterName} from '../../src/lib/model/names.js'
import type {Node} from '../../src/lib/model/node.js'
import {defaultPages} from '../../src/lib/model/page.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import type {Resource, Snapshot} from '../../src/lib/xds/snapshot.js'
import {testCluster} from '../helpers/fleet.js'
import {broken, fleetOf, identityOf, nodeOf, registered} from './fixture.js'

const atlas = nodeOf('atlas')
const paris = nodeOf('paris')
const name = fc.constantFrom('paris', 'lyon', 'nice', 'metz').map(text => parseClusterName(text))

const registration = fc.record({
  kind: fc.constant('registration' as const),
  name,
  value: fc.option(
    fc.record({
      replicas: fc.integer({min: 1, max: 3}),
      addresses: fc.constantFrom('', '192.0.2.1', '192.0.2.2'),
      allowAdmin: fc.boolean(),
      targets: fc.nat(2),
      groups: fc.subarray(['eu', 'us']),
    }),
    {nil: undefined},
  ),
})

const change: fc.Arbitrary<Change> = fc.oneof(
  registration.map(({name: of, value}): Change =>
    value === undefined
      ? {kind: 'registration', name: of, value: undefined}
      : registered(
          testCluster(of, {
            replicas: value.replicas,
            addresses: value.addresses === '' ? [] : parseAddresses(value.addresses),
            pages: {...defaultPages, allowAdmin: value.allowAdmin},
            targets: new Map(
              Array.from({length: value.targets}, (_, index) => [
                `store${String(index)}`,
                {host: `store${String(value.targets)}.example.com`, port: 10_901, replicas: 1, health: 'grpc'},
              ]),
            ),
            groups: value.groups,
          }),
        ),
  ),
  fc
    .tuple(
      name,
      fc.option(fc.tuple(fc.integer({min: 1, max: 3}), fc.boolean(), fc.subarray(['ads-client', 'downstream'])), {nil: undefined}),
    )
    .map(([owner, record]): Change => recordChange(owner, record)),
  fc.tuple(name, fc.nat(3)).map(([owner, text]): Change => ({kind: 'identity', owner, value: identityOf(`${owner} ${String(text)}`)})),
  fc.nat(3).map((text): Change => ({kind: 'identity', owner: 'atlas', value: identityOf(`atlas ${String(text)}`)})),
  fc
    .tuple(name, fc.constantFrom('registration', 'record'))
    .map(([of, kind]): Change => broken(`${kind}/${of}` as `record/${string}`, `Service/${of}`, 'a label')),
  fc
    .nat(2)
    .map((count): Change => ({
      kind: 'trust',
      value: {
        roots: ['r'],
        issuers: Array.from({length: count + 1}, (_, index) => `issuer ${String(index)}\n`),
        credentialIssuers: ['c\n'],
      },
    })),
  fc.nat(1).map((port): Change => ({kind: 'settings', value: {...defaultSettings, internalTls: port === 0 ? [] : [10_901]}})),
  fc.boolean().map((pagesByPath): Change => ({kind: 'settings', value: {...defaultSettings, pagesByPath, webDomain: 'web.example.com'}})),
  fc
    .nat(2)
    .map((count): Change => ({
      kind: 'alertmanagers',
      value: Array.from({length: count}, (_, index) => ({name: `am-${String(index)}`, host: '192.0.2.9', port: 9093})),
    })),
)

/** @param record its generation, whether it is suspended, and of which kinds the denied names are: those of identities end earlier */
function recordChange(owner: ClusterName, record: [number, boolean, string[]] | undefined): Change {
  if (record === undefined) return {kind: 'record', owner, value: undefined}
  const [generation, isSuspended, kinds] = record
  const denied = Array.from({length: generation - 1}, (_, index) => index + 1).flatMap(earlier =>
    kinds.map(kind => ({name: `spiffe://atlas.internal/${kind}/${owner}/${String(earlier)}`, until: '2030-01-01T00:00:00Z'})),
  )
  const value = {owner, generation, credentials: [], denied, ...(isSuspended && {suspendedSince: '2026-01-01T00:00:00Z'})}
  return {kind: 'record', owner, value}
}

/** Versions by type and name: equal versions are equal bytes. */
function versions(snapshot: Snapshot): Readonly<Record<string, Readonly<Record<string, string>>>> {
  return Object.fromEntries(
    [...snapshot].map(([typeUrl, ofType]) => [typeUrl, Object.fromEntries([...ofType].map(([each, {version}]) => [each, version]).sort())]),
  )
}

describe('envoy/build: editing the last snapshot', () => {
  it('gives what a build in full gives, after any changes', () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, {minLength: 1, maxLength: 4}), {minLength: 1, maxLength: 12}), steps => {
        let fleet: Fleet = fleetOf([testCluster('paris'), testCluster('lyon', {addresses: parseAddresses('lyon.example.com')})])
        const previous = new Map<Node, Snapshot>()
        for (const changes of steps) {
          fleet = reduceAll(fleet, changes)
          for (const node of [atlas, paris]) {
            const edited = buildSnapshot(fleet, node, previous.get(node))
            // A node of other identity has no edited snapshot.
            const full = buildSnapshot(fleet, {...node})
            expect(edited.kind).to.equal(full.kind)
            if (edited.kind === 'frozen' || full.kind === 'frozen') continue
            expect(versions(edited.snapshot)).to.deep.equal(versions(full.snapshot))
            previous.set(node, edited.snapshot)
          }
        }
      }),
    )
  })

  it('returns the last snapshot itself where nothing differs that the node is built from', () => {
    const fleet = fleetOf([testCluster('paris')])
    const elsewhere = registered(testCluster('paris', {addresses: parseAddresses('192.0.2.7')}))
    for (const [node, change] of [
      [atlas, {kind: 'revision', object: 'Service/paris', value: '2'}],
      [paris, elsewhere],
      [paris, {kind: 'identity', owner: 'atlas', value: identityOf('other')}],
    ] as const) {
      const first = buildSnapshot(fleet, node)
      const previous = first.kind === 'snapshot' ? first.snapshot : undefined
      const next = buildSnapshot(reduceAll(fleet, [change]), node, previous)
      expect(next.kind === 'snapshot' && next.snapshot).to.equal(previous)
    }
  })

  it('shares what clusters of the same services have in common, and nothing that names one of them', () => {
    const local = {prometheus: {host: '127.0.0.1', port: 9090}}
    const fleet = fleetOf([
      testCluster('paris'),
      testCluster('lyon', {addresses: parseAddresses('192.0.2.7')}),
      testCluster('nice', {services: {...testCluster('nice').services, ...local}}),
      testCluster('metz', {services: {...testCluster('metz').services, ...local}}),
    ])
    const resources = (name: string): ReadonlyMap<string, Resource> => {
      const built = buildSnapshot(fleet, nodeOf(name))
      if (built.kind === 'frozen') throw new Error(built.why)
      return new Map(
        [...built.snapshot.values()].flatMap(ofType => [...ofType].map(([each, value]) => [`${value.typeUrl} ${each}`, value])),
      )
    }
    const pageRoutes = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration page/prom'
    expect(resources('paris').get(pageRoutes)).to.equal(resources('lyon').get(pageRoutes))
    for (const name of ['nice', 'metz'])
      expect(Buffer.from(resources(name).get(pageRoutes)?.body ?? []).toString()).to.contain(`The registration of ${name} names`)
  })
})
