import {setTimeout as sleep} from 'node:timers/promises'
import {expect} from 'chai'
import type {AtlasError} from '../../../src/lib/model/errors.js'
import type {Client} from '../../../src/lib/store/kubernetes/client.js'
import {defaultHeartbeatTimes, watchHeartbeats} from '../../../src/lib/store/kubernetes/heartbeat.js'

/** No list fails here. */
function failed(error: AtlasError | undefined): void {
  if (error !== undefined) expect.fail(error.message)
}

describe('the Leases of the servers, as a new leader sees them', () => {
  it('has a server whose Lease comes a moment after the first look long before the next usual look', async () => {
    const stopping = new AbortController()
    let looks = 0
    const lease = {metadata: {name: 'atlas-ads-two'}, spec: {holderIdentity: 'two_1', renewTime: '2026-01-01T00:00:00.000000Z'}}
    const client = {namespace: 'atlas', call: async () => ({items: ++looks === 1 ? [] : [lease]})} as unknown as Client
    const found = Promise.withResolvers<readonly string[]>()
    const living = (names: readonly string[]): void => {
      if (names.length > 0) found.resolve(names)
    }

    watchHeartbeats(client, {...defaultHeartbeatTimes, replicaLookMs: 600_000}, {living, failed}, stopping.signal)
    try {
      expect(await Promise.race([found.promise, sleep(30_000, 'not seen', {signal: stopping.signal})])).to.deep.equal(['two'])
    } finally {
      stopping.abort()
    }
  }).timeout(40_000)

  it('are listed less often the longer it leads, up to the usual time between two looks', async () => {
    const stopping = new AbortController()
    const at: number[] = []
    const third = Promise.withResolvers<void>()
    const call = async (): Promise<unknown> => {
      if (at.push(performance.now()) === 3) third.resolve()
      return {items: []}
    }

    const client = {namespace: 'atlas', call} as unknown as Client
    watchHeartbeats(client, {...defaultHeartbeatTimes, replicaLookMs: 300}, {living: () => undefined, failed}, stopping.signal)
    await third.promise
    stopping.abort()
    const [first = 0, second = 0, last = 0] = at
    // 250 ms and 300 ms, each with a tenth more or less.
    expect(second - first).to.be.at.least(220)
    expect(last - second).to.be.at.least(265)
  })
})
