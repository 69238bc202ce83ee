/** A snapshot that is edited where the fleet differs is the snapshot that is built in full. */
import {expect} from 'chai'
import fc from 'fast-check'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type ClusterName, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import type {Snapshot} from '../../src/lib/xds/snapshot.js'
import {testCluster} from '../helpers/fleet.js'
import {broken, fleetOf, identityOf, nodeOf, registered} from './fixture.js'

const atlas = nodeOf('atlas')
const name = fc.constantFrom('paris', 'lyon', 'nice', 'metz').map(text => parseClusterName(text))

const registration = fc.record({
  kind: fc.constant('registration' as const),
  name,
  value: fc.option(fc.record({replicas: fc.integer({min: 1, max: 3}), addresses: fc.constantFrom('', '192.0.2.1', '192.0.2.2')}), {
    nil: undefined,
  }),
})

const change: fc.Arbitrary<Change> = fc.oneof(
  registration.map(({name: of, value}): Change =>
    value === undefined
      ? {kind: 'registration', name: of, value: undefined}
      : registered(testCluster(of, {replicas: value.replicas, addresses: value.addresses === '' ? [] : parseAddresses(value.addresses)})),
  ),
  fc
    .tuple(name, fc.option(fc.tuple(fc.integer({min: 1, max: 3}), fc.boolean()), {nil: undefined}))
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
)

function recordChange(owner: ClusterName, record: [number, boolean] | undefined): Change {
  if (record === undefined) return {kind: 'record', owner, value: undefined}
  const [generation, isSuspended] = record
  const denied = Array.from({length: generation - 1}, (_, index) => ({
    name: `spiffe://atlas.internal/ads-client/${owner}/${String(index + 1)}`,
    until: '2030-01-01T00:00:00Z',
  }))
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
        let previous: Snapshot | undefined
        for (const changes of steps) {
          fleet = reduceAll(fleet, changes)
          const edited = buildSnapshot(fleet, atlas, previous)
          // A node of other identity has no edited snapshot.
          const full = buildSnapshot(fleet, {...atlas})
          expect(edited.kind).to.equal(full.kind)
          if (edited.kind === 'frozen' || full.kind === 'frozen') continue
          expect(versions(edited.snapshot)).to.deep.equal(versions(full.snapshot))
          previous = edited.snapshot
        }
      }),
    )
  })

  it('returns the last snapshot itself where nothing differs that the node is built from', () => {
    const fleet = fleetOf([testCluster('paris')])
    const first = buildSnapshot(fleet, atlas)
    const after = reduceAll(fleet, [{kind: 'revision', object: 'Service/paris', value: '2'}])
    expect(buildSnapshot(after, atlas, first.kind === 'snapshot' ? first.snapshot : undefined)).to.deep.include({
      kind: 'snapshot',
      snapshot: first.kind === 'snapshot' ? first.snapshot : undefined,
    })
  })
})
