import {expect} from 'chai'
import {parseAddress} from '../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import {type Fleet, type Subject, emptyFleet} from '../../src/lib/model/fleet.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {renderZone, serialIn, zoneNames} from '../../src/lib/manifest/zone.js'
import {expectGolden} from '../helpers/golden.js'
import {testCluster} from '../helpers/fleet.js'
import {goatlasChartZone, goatlasZone} from '../helpers/goatlas-objects.js'
import {endpointsIn, readZone} from '../helpers/zone.js'

const now = new Date('2026-11-24T12:00:00.500Z')
const NOW = 1_795_521_600
const THANOS = '_thanos._tcp.sidecars.thanos.atlas.'
const GRPC = '_grpc._tcp.sidecars.thanos.atlas.'

function fleetOf(clusters: readonly Cluster[], settings: Partial<typeof defaultSettings> = {}, broken: readonly Subject[] = []): Fleet {
  return reduceAll(emptyFleet, [
    {kind: 'settings', value: {...defaultSettings, namespace: 'monitoring', ...settings}},
    ...clusters.map((value): Change => ({kind: 'registration', name: value.name, value})),
    ...broken.map((subject): Change => ({kind: 'fault', subject, value: {object: 'Service/x', key: 'metadata', message: 'broken'}})),
  ])
}

const two = fleetOf([testCluster('paris', {replicas: 2}), testCluster('lyon')])
const first = renderZone(two, undefined, now)

describe('manifest/zone', () => {
  it('golden file: a record for each replica under each name, sorted', () => {
    expectGolden('manifest/zone.txt', first)
    expect(renderZone(fleetOf([testCluster('lyon'), testCluster('paris', {replicas: 2})]), undefined, now)).to.equal(first)
  })

  it('reads as a zone, with and without clusters', () => {
    expect(readZone(first)).to.deep.include({origin: 'atlas.', serial: NOW})
    expect(readZone(first).records).to.have.length(7)
    expect(readZone(renderZone(fleetOf([]), undefined, now)).records.map(({type}) => type)).to.deep.equal(['NS'])
  })

  it('a cluster that is pending has no record', () => {
    expect(renderZone(fleetOf([testCluster('paris', {addresses: []})]), undefined, now)).not.to.contain('paris')
  })

  it('nothing different: the same text, whatever the time', () => {
    expect(renderZone(two, first, new Date('2030-01-01T00:00:00Z'))).to.equal(first)
  })

  it('the serial goes up with every change, within the same second and after a clock that was ahead too', () => {
    const second = renderZone(fleetOf([testCluster('lyon')]), first, now)
    const third = renderZone(two, second, now)
    const later = renderZone(fleetOf([]), third, new Date(now.getTime() + 60_000))
    const behind = renderZone(two, later, new Date('2021-01-01T00:00:00Z'))
    expect([first, second, third, later, behind].map(zone => serialIn(zone))).to.deep.equal([NOW, NOW + 1, NOW + 2, NOW + 60, NOW + 61])
  })

  it('a serial that can not go up, or is none, begins again', () => {
    const one = fleetOf([testCluster('paris')])
    for (const serial of ['4294967295', '4294967296', '-1', 'x', ''])
      expect(serialIn(renderZone(one, first.replace(String(NOW), serial), now)), serial).to.equal(NOW)
    expect(serialIn(renderZone(two, '', now))).to.equal(NOW)
  })

  it('the serial goes on above one that was served before, where the zone was deleted or put back since', () => {
    for (const previous of [undefined, '', first])
      expect(serialIn(renderZone(fleetOf([]), previous, now, NOW + 40)), previous).to.equal(NOW + 41)
    expect(serialIn(renderZone(fleetOf([]), undefined, now, NOW - 40))).to.equal(NOW)
    expect(serialIn(renderZone(fleetOf([]), first, now, NOW - 40))).to.equal(NOW + 1)
    const again = renderZone(two, first, now, NOW + 40)
    expect(serialIn(again), 'put back to the same records').to.equal(NOW + 41)
    expect(again).to.equal(first.replace(String(NOW), String(NOW + 41)))
    for (const served of [NOW, NOW - 40, 4_294_967_295]) expect(renderZone(two, first, now, served), 'nothing different').to.equal(first)
    expect(serialIn(renderZone(fleetOf([]), first, now, 4_294_967_295)), 'one that can not go up').to.equal(NOW + 1)
  })

  it('follows namespace and cluster domain', () => {
    const zone = renderZone(fleetOf([testCluster('paris')], {namespace: 'observing', clusterDomain: 'corp.example'}), undefined, now)
    expect(endpointsIn(zone, THANOS)).to.deep.equal(['paris-thanos-sidecar0.observing.svc.corp.example:10901'])
  })

  it('a cluster whose registration can not be read keeps the records it has, and a registered one needs none of them', () => {
    for (const subject of ['registration/paris', 'object/Service/paris'] as const) {
      const broken = fleetOf([testCluster('lyon')], {}, [subject])
      expect(renderZone(broken, first, now), subject).to.equal(first)
      expect(endpointsIn(renderZone(broken, undefined, now), THANOS)).to.have.length(1)
    }

    const gone = fleetOf([testCluster('lyon')])
    expect(endpointsIn(renderZone(gone, first, now), THANOS)).to.deep.equal(['lyon-thanos-sidecar0.monitoring.svc.cluster.local:10901'])
  })

  it("without settings, what is there stays: this installation's names are not known", () => {
    expect(renderZone(emptyFleet, goatlasZone, now)).to.equal(goatlasZone)
    expect(renderZone(emptyFleet, undefined, now)).to.equal('')
  })

  it("a thousand clusters of two replicas fit into a ConfigMap, and long names don't break the zone", () => {
    const name = (index: number): string => `${'x'.repeat(38)}${String(index).padStart(4, '0')}`
    const many = fleetOf(
      Array.from({length: 1000}, (_, index) => testCluster(name(index), {replicas: 2})),
      {namespace: 'n'.repeat(63)},
    )
    const [every] = zoneNames(many, many.settings ?? defaultSettings, undefined)
    const zone = `${renderZone(fleetOf([]), undefined, now)}${every?.records ?? ''}\n`
    expect(readZone(zone).records).to.have.length(4001)
    expect(Buffer.byteLength(zone)).to.be.lessThan(1024 * 1024)
  })

  describe('groups', () => {
    const europe = testCluster('paris', {replicas: 2, groups: ['europe', 'unlisted']})
    const zone = renderZone(fleetOf([europe, testCluster('rome')], {groups: ['asia', 'europe']}), undefined, now)
    const EUROPE = '_thanos._tcp.europe.thanos.atlas.'

    it('each that is listed has a name with its clusters, beside the name that has every cluster', () => {
      expect(endpointsIn(zone, EUROPE)).to.have.length(2)
      expect(endpointsIn(zone, EUROPE).every(endpoint => endpoint.startsWith('paris-'))).to.equal(true)
      expect(endpointsIn(zone, THANOS)).to.have.length(3)
      expect(zone).not.to.include('unlisted').and.not.to.include('asia')
    })

    it('one that is emptied loses its name, and the serial grows', () => {
      const after = renderZone(fleetOf([testCluster('paris', {replicas: 2}), testCluster('rome')], {groups: ['asia', 'europe']}), zone, now)
      expect(after).not.to.include('europe')
      expect(serialIn(after)).to.equal(NOW + 1)
    })

    it('records of a registration that became unreadable stay under each name', () => {
      const broken = fleetOf([testCluster('rome')], {groups: ['asia', 'europe']}, ['registration/paris'])
      expect(renderZone(broken, zone, now)).to.equal(zone)
    })

    it('a name that would be too long keeps its records, and the others go on', () => {
      const many = Array.from({length: 900}, (_, index) => testCluster(`cluster-with-a-long-name-${index}`))
      const after = renderZone(fleetOf([testCluster('rome', {groups: ['asia']}), ...many], {groups: ['asia', 'europe']}), zone, now)
      expect(endpointsIn(after, THANOS)).to.deep.equal(endpointsIn(zone, THANOS))
      expect(endpointsIn(after, '_thanos._tcp.asia.thanos.atlas.')).to.have.length(1)
      expect(after).not.to.include('europe')
    })
  })

  describe('after the 2021 program', () => {
    const at = {addresses: [parseAddress('198.51.100.3')]}
    const registered = [testCluster('downstream1', at), testCluster('downstream2', {...at, replicas: 2}), testCluster('downstream3', at)]
    const adopted = fleetOf(registered)
    const withoutSecond = registered.filter(({name}) => name !== 'downstream2')

    it('its zones read as zones, with their serials', () => {
      expect(readZone(goatlasZone).serial).to.equal(1_635_600_000)
      expect(serialIn(goatlasZone)).to.equal(1_635_600_000)
      expect(serialIn(goatlasChartZone)).to.equal(1)
      expect(serialIn('; SOA of old\n')).to.equal(undefined)
    })

    it('no record by which Thanos was found disappears, and the serial goes on', () => {
      const zone = renderZone(adopted, goatlasZone, now)
      for (const name of [THANOS, GRPC]) expect(endpointsIn(zone, name)).to.include.members([...endpointsIn(goatlasZone, name)])
      expect(serialIn(zone)).to.equal(NOW)
      expect(serialIn(renderZone(adopted, goatlasZone.replace('1635600000', '2000000000'), now))).to.equal(2_000_000_001)
    })

    it('nor does one of a cluster that can not be adopted', () => {
      const zone = renderZone(fleetOf(withoutSecond, {}, ['registration/downstream2']), goatlasZone, now)
      expect(endpointsIn(zone, THANOS)).to.include.members([...endpointsIn(goatlasZone, THANOS)])
    })

    it('D16: no namespace is assumed', () => {
      expect(renderZone(fleetOf([testCluster('paris')], {namespace: 'other'}), goatlasZone, now)).not.to.contain('monitoring')
    })

    it('D23: a cluster that is removed, or is no longer registered, leaves the zone with the next rendering', () => {
      expect(renderZone(fleetOf(withoutSecond), goatlasZone, now)).not.to.contain('downstream2')
    })

    it('D24: a zone that was reset comes back with a higher serial than both; nothing remembered stands in the way', () => {
      const served = renderZone(adopted, undefined, now)
      const repaired = renderZone(adopted, goatlasChartZone, new Date(now.getTime() + 5000))
      expect(readZone(repaired).records).to.deep.equal(readZone(served).records)
      expect(serialIn(repaired)).to.equal(NOW + 5)
      expect(readZone(repaired).records.filter(({type}) => type === 'NS')).to.have.length(1)
    })

    it('D25: every cluster is found under both names, and nowhere but where the observability Envoy answers', () => {
      const zone = renderZone(adopted, goatlasZone, now)
      expect(endpointsIn(zone, THANOS)).to.deep.equal(endpointsIn(zone, GRPC)).and.to.have.length(4)
      const ports = readZone(zone)
        .records.filter(({type}) => type === 'SRV')
        .map(({data}) => data[2])
      expect(new Set(ports)).to.deep.equal(new Set(['10901']))
    })
  })
})
