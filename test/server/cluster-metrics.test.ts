/** Metrics of single clusters and certificates: what each series shows, and when it is gone. */
import {expect} from 'chai'
import {reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {Rotation} from '../../src/lib/model/rotation.js'
import {type ClusterFacts, openClusterMetrics} from '../../src/server/cluster-metrics.js'
import {reconciled, testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const DAY = 86_400

describe('server/cluster-metrics', () => {
  const metrics = openClusterMetrics()
  let text = ''
  const show = (facts: ClusterFacts): void => {
    text = metrics.text(facts)
  }

  /** The series of a metric, without its name. */
  const series = (name: string): readonly string[] =>
    text
      .split('\n')
      .filter(line => line.startsWith(`${name}{`))
      .map(line => line.slice(name.length))
  const credentialOf = (fleet: Fleet) => fleet.records.get(paris)?.credentials[0] ?? expect.fail('no credential')

  it('the state and the connection of each cluster; the series of one that was removed are gone', () => {
    const dependencies = testDependencies()
    const fleet = reduceAll(testFleet(dependencies, ['paris', 'rome']), [
      {kind: 'registration', name: rome, value: testCluster('rome', {addresses: []})},
    ])
    const connected = [{cluster: paris, credential: credentialOf(fleet)}]
    show({fleet, connected, now: dependencies.now()})
    expect(series('atlas_cluster_state')).to.deep.equal(['{cluster="paris",state="registered"} 1', '{cluster="rome",state="no address"} 1'])
    expect(series('atlas_cluster_connected')).to.deep.equal(['{cluster="atlas"} 0', '{cluster="paris"} 1', '{cluster="rome"} 0'])
    const removed = reduceAll(fleet, [
      {kind: 'registration', name: rome, value: undefined},
      {kind: 'record', owner: rome, value: undefined},
    ])
    show({fleet: removed, connected: [], now: dependencies.now()})
    expect(text).not.to.include('rome')
    expect(series('atlas_cluster_connected')).to.deep.equal(['{cluster="atlas"} 0', '{cluster="paris"} 0'])
  })

  it('a server that serves no Envoys does not claim that none is connected', () => {
    const dependencies = testDependencies()
    show({fleet: testFleet(dependencies), connected: undefined, now: dependencies.now()})
    expect(series('atlas_cluster_connected')).to.deep.equal([])
    expect(series('atlas_cluster_state')).to.have.length(1)
  })

  it('the end of every certificate, by its owner and kind', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, ['paris'], {...testSettings, clients: [parseInternalClient('thanos')]})
    show({fleet, connected: undefined, now: dependencies.now()})
    const now = dependencies.now().getTime() / 1000
    const {identity, credential, issuer, root} = testSettings.lifetimes
    expect(series('atlas_certificate_expiry_timestamp_seconds')).to.have.members([
      `{owner="atlas",kind="root"} ${now + root}`,
      `{owner="atlas",kind="issuer"} ${now + issuer}`,
      `{owner="atlas",kind="credential-issuer"} ${now + root}`,
      ...['atlas', 'paris'].flatMap(owner => [
        `{owner="${owner}",kind="identity"} ${now + identity}`,
        `{owner="${owner}",kind="credential"} ${now + credential}`,
      ]),
      `{owner="thanos",kind="client"} ${now + identity}`,
      `{owner="atlas",kind="server"} ${now + identity}`,
    ])
    dependencies.pass(identity / 2)
    show({fleet, connected: undefined, now: dependencies.now()})
    const used = series('atlas_certificate_used_ratio')
    expect(used).to.have.length(9)
    expect(used).to.include.members(['{owner="paris",kind="identity"} 0.5', '{owner="atlas",kind="server"} 0.5'])
  })

  it('the oldest credential that is used, though a newer one is issued', () => {
    const dependencies = testDependencies()
    const first = testFleet(dependencies)
    dependencies.pass(testSettings.lifetimes.credential * 0.8)
    const fleet = reconciled(first, dependencies)
    const newer = fleet.records.get(paris)?.credentials[1] ?? expect.fail('no newer credential')
    const connected = [credentialOf(fleet), newer, undefined].map(credential => ({cluster: paris, credential}))
    show({fleet, connected, now: dependencies.now()})
    const [ratio = '', ...others] = series('atlas_cluster_credential_used_ratio')
    expect([ratio.startsWith('{cluster="paris"} 0.8'), others]).to.deep.equal([true, []])
    const [ends = ''] = series('atlas_certificate_expiry_timestamp_seconds').filter(line => line.includes('kind="credential"} '))
    expect(Number(ends.split(' ').at(-1))).to.be.greaterThan(dependencies.now().getTime() / 1000 + 300 * DAY)
  })

  it('the registration, record and identity as they are, whatever was shown before', () => {
    const dependencies = testDependencies()
    const names = ['paris', 'rome']
    const fleet = testFleet(dependencies, names)
    const at = {connected: undefined, now: dependencies.now()}
    show({...at, fleet})
    const first = text
    const record = fleet.records.get(paris) ?? expect.fail('no record')
    const changed: readonly (readonly [Fleet, string])[] = [
      [reduceAll(fleet, [{kind: 'registration', name: paris, value: testCluster('paris', {addresses: []})}]), 'no address'],
      [reduceAll(fleet, [{kind: 'record', owner: paris, value: {...record, credentials: []}}]), 'registered'],
      [reduceAll(fleet, [{kind: 'identity', owner: paris, value: undefined}]), 'registered'],
    ]
    for (const [other, state] of changed) {
      show({...at, fleet: other})
      expect(text).not.to.equal(first)
      expect(text).to.equal(openClusterMetrics().text({...at, fleet: other}))
      expect(series('atlas_cluster_state')).to.deep.equal([`{cluster="paris",state="${state}"} 1`, '{cluster="rome",state="registered"} 1'])
    }

    show({...at, fleet})
    expect(text).to.equal(first)
  })

  it('for how long a rotation has waited, and 0 where none waits', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies)
    const at = dependencies.now().toISOString()
    const rotation: Rotation = {part: 'issuer', stage: 'announce', startedAt: at, since: at, skipped: [], waitingFor: ['paris']}
    dependencies.pass(90)
    const shown = (value: Rotation | undefined): string => {
      show({fleet: reduceAll(fleet, [{kind: 'rotation', value}]), connected: undefined, now: dependencies.now()})
      return text.split('\n').find(line => line.startsWith('atlas_rotation_waiting_seconds ')) ?? ''
    }
    expect(shown(rotation)).to.equal('atlas_rotation_waiting_seconds 90')
    expect(shown({...rotation, waitingFor: []})).to.equal('atlas_rotation_waiting_seconds 0')
    expect(shown(undefined)).to.equal('atlas_rotation_waiting_seconds 0')
  })
})
