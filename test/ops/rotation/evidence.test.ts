/** What the reports of several servers show of an Envoy that has moved from one to another. */
import {expect} from 'chai'
import {emptyFleet} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {ReplicaReport} from '../../../src/lib/model/report.js'
import {evidenceIn} from '../../../src/lib/ops/rotation/evidence.js'
import {usedCredentials} from '../../../src/lib/ops/superseded.js'

const paris = parseClusterName('paris')

/** A report with one stream of paris-0. */
function reportOf(connectedSince: string, sha256: string): ReplicaReport {
  const proxy = {cluster: paris, id: 'paris-0', connectedSince, credential: {sha256}, equalIds: 1}
  return {report: {proxies: [proxy], tls: {certificate: 'x', trust: 'y'}}, leftovers: [], digest: ''} as unknown as ReplicaReport
}

describe('evidence', () => {
  it('counts both reports of an Envoy that has moved: the clock of the former server may be ahead', () => {
    const reports = new Map([
      ['ads-0', reportOf('2026-12-24T00:00:00.000Z', 'of the former stream')],
      ['ads-1', reportOf('2026-11-30T00:00:00.000Z', 'of the present stream')],
    ])
    const evidence = evidenceIn({...emptyFleet, replicas: ['ads-0', 'ads-1'], reports})
    expect(evidence?.proxies.map(({credential}) => credential.sha256)).to.deep.equal(['of the former stream', 'of the present stream'])
    expect([...(usedCredentials(evidence!)?.get(paris) ?? [])]).to.have.length(2)
  })
})
