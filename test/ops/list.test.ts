/** Which clusters `cluster list` shows as connected. */
import {expect} from 'chai'
import {reduceAll} from '../../src/lib/model/change.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {Report} from '../../src/lib/model/report.js'
import {listClusters} from '../../src/lib/ops/cluster/list.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {reconciled, testDependencies, testFleet} from '../helpers/dependencies.js'

describe('ops/cluster/list', () => {
  const dependencies = testDependencies()
  const nice = parseClusterName('nice')
  const registered = testFleet(dependencies, ['lyon', 'nice', 'paris'])
  const fleet = reconciled(reduceAll(registered, [{kind: 'registration', name: nice, value: undefined}]), dependencies)
  const description = 'directory /srv/atlas'
  const report = {
    store: {description},
    proxies: ['paris', 'nice'].map(cluster => ({
      cluster,
      id: `${cluster}-0`,
      credential: {sha256: ''},
      connectedSince: 'now',
      equalIds: 1,
    })),
  } as unknown as Report
  const connected = async (fetchReport: () => Promise<Report>, holder = true): Promise<unknown> => {
    const store = {isShared: false, description, load: async () => fleet, holder: async () => (holder ? {admin: ''} : undefined)}
    const {clusters} = await listClusters(store as unknown as StateStore, fetchReport, dependencies.now())
    return clusters.map(({name, state, isConnected}) => [name, state, isConnected])
  }

  it('those whose Envoy a server reports; a suspended one is not, although the report is some seconds old', async () => {
    expect(await connected(async () => report)).to.deep.equal([
      ['lyon', 'registered', false],
      ['nice', 'suspended', false],
      ['paris', 'registered', true],
    ])
  })

  it('unknown where no server runs, the server does not answer, or it serves another directory', async () => {
    const unknown = [
      ['lyon', 'registered', undefined],
      ['nice', 'suspended', undefined],
      ['paris', 'registered', undefined],
    ]
    expect(await connected(async () => report, false)).to.deep.equal(unknown)
    expect(await connected(async () => Promise.reject(new Error('no answer')))).to.deep.equal(unknown)
    const other = {...report, store: {description: 'directory /copy', reachable: true}}
    expect(await connected(async () => other)).to.deep.equal(unknown)
  })
})
