/** Leader election over an API server in memory; over a real one, with faults: election.kubernetes.test.ts. */
import {expect} from 'chai'
import {defaultElectionTimes, openElection} from '../../../src/lib/store/kubernetes/election.js'
import {fakeApi} from '../../helpers/kubernetes/fake-api.js'
import {until} from '../recorder.js'

describe('store/kubernetes: election', () => {
  it('a leader whose Lease is deleted takes part again at once', async () => {
    const api = fakeApi()
    const led: boolean[] = []
    const election = openElection(
      api.client(),
      'atlas',
      'one_1',
      {...defaultElectionTimes, leaseRenewMs: 20, leaseRetryMs: 20},
      {
        leading: isLeader => led.push(isLeader),
        failed: error => {
          if (error !== undefined) expect.fail(error.message)
        },
        warnings: () => [],
      },
    )
    try {
      await until(() => election.leads())
      api.remove({namespace: 'atlas', resource: 'leases'}, 'atlas')
      await until(() => api.get({namespace: 'atlas', resource: 'leases'}, 'atlas') !== undefined && election.leads())
      expect(led).to.deep.equal([true, false, true])
    } finally {
      await election.stop()
    }
  })
})
