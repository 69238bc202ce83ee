/** Metrics of single clusters and certificates: what each series shows, and when it is gone. */
import {expect} from 'chai'
import {Registry} from 'prom-client'
import {reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClientName, parseClusterName} from '../../src/lib/model/names.js'
import {openClusterMetrics} from '../../src/server/cluster-metrics.js'
import {reconciled, testDependencies, testFleet, testSettings} from '../helpers/dependencies.js'
import {testCluster} from '../helpers/fleet.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const DAY = 86_400

describe('server/cluster-metrics', () => {
  const registry = new Registry()
  const metrics = openClusterMetrics(registry)
  /** The series of a metric, without its name. */
  const series = async (name: string): Promise<readonly string[]> =>
    (await registry.getSingleMetricAsString(name))
      .split('\n')
      .filter(line => line.startsWith(`${name}{`))
      .map(line => line.slice(name.length))
  const credentialOf = (fleet: Fleet) => fleet.records.get(paris)?.credentials[0] ?? expect.fail('no credential')

  it('the state and the connection of each cluster; the series of one that was removed are gone', async () => {
    const dependencies = testDependencies()
    const fleet = reduceAll(testFleet(dependencies, ['paris', 'rome']), [
      {kind: 'registration', name: rome, value: testCluster('rome', {addresses: []})},
    ])
    const connected = [{cluster: paris, credential: credentialOf(fleet)}]
    metrics.set({fleet, connected, now: dependencies.now()})
    expect(await series('atlas_cluster_state')).to.deep.equal([
      '{cluster="paris",state="registered"} 1',
      '{cluster="rome",state="no address"} 1',
    ])
    expect(await series('atlas_cluster_connected')).to.deep.equal(['{cluster="atlas"} 0', '{cluster="paris"} 1', '{cluster="rome"} 0'])
    const removed = reduceAll(fleet, [
      {kind: 'registration', name: rome, value: undefined},
      {kind: 'record', owner: rome, value: undefined},
    ])
    metrics.set({fleet: removed, connected: [], now: dependencies.now()})
    expect(await registry.metrics()).not.to.include('rome')
    expect(await series('atlas_cluster_connected')).to.deep.equal(['{cluster="atlas"} 0', '{cluster="paris"} 0'])
  })

  it('a server that serves no Envoys does not claim that none is connected', async () => {
    const dependencies = testDependencies()
    metrics.set({fleet: testFleet(dependencies), connected: undefined, now: dependencies.now()})
    expect(await series('atlas_cluster_connected')).to.deep.equal([])
    expect(await series('atlas_cluster_state')).to.have.length(1)
  })

  it('the end of every certificate, by its owner and kind', async () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, ['paris'], {...testSettings, clients: [parseClientName('thanos')]})
    metrics.set({fleet, connected: undefined, now: dependencies.now()})
    const now = dependencies.now().getTime() / 1000
    const {identity, credential, issuer, root} = testSettings.lifetimes
    expect(await series('atlas_certificate_expiry_timestamp_seconds')).to.have.members([
      `{owner="atlas",kind="root"} ${now + root}`,
      `{owner="atlas",kind="issuer"} ${now + issuer}`,
      `{owner="atlas",kind="credential-issuer"} ${now + root}`,
      ...['atlas', 'paris'].flatMap(owner => [
        `{owner="${owner}",kind="identity"} ${now + identity}`,
        `{owner="${owner}",kind="credential"} ${now + credential}`,
      ]),
      `{owner="thanos",kind="client"} ${now + identity}`,
    ])
  })

  it('the oldest credential that is used, though a newer one is issued', async () => {
    const dependencies = testDependencies()
    const first = testFleet(dependencies)
    dependencies.pass(testSettings.lifetimes.credential * 0.8)
    const fleet = reconciled(first, dependencies)
    const newer = fleet.records.get(paris)?.credentials[1] ?? expect.fail('no newer credential')
    const connected = [credentialOf(fleet), newer, undefined].map(credential => ({cluster: paris, credential}))
    metrics.set({fleet, connected, now: dependencies.now()})
    const [ratio = '', ...others] = await series('atlas_cluster_credential_used_ratio')
    expect([ratio.startsWith('{cluster="paris"} 0.8'), others]).to.deep.equal([true, []])
    const [ends = ''] = (await series('atlas_certificate_expiry_timestamp_seconds')).filter(line => line.includes('kind="credential"} '))
    expect(Number(ends.split(' ').at(-1))).to.be.greaterThan(dependencies.now().getTime() / 1000 + 300 * DAY)
  })
})
