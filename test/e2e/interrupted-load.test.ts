import {setTimeout as sleep} from 'node:timers/promises'
import {expect} from 'chai'
import {messageOf} from '../../src/lib/model/errors.js'
import {type InterruptedLoad, startInterrupted} from './interrupted-load.js'

const failureOf = async (load: InterruptedLoad): Promise<string> =>
  load.stop().then(
    () => 'none',
    (error: unknown) => messageOf(error),
  )

describe('e2e: load through a program that is killed', () => {
  let isAway = false
  beforeEach(() => {
    isAway = false
  })

  const request = async (): Promise<void> => {
    if (isAway) throw new Error('refused')
  }
  const away = async (): Promise<void> => {
    isAway = true
    await sleep(30)
    isAway = false
  }

  it('counts what fails while the program is away', async () => {
    const load = startInterrupted([request], 5)
    await load.during(away)
    await sleep(20)
    const {requests, failures} = await load.stop()
    expect(failures).to.be.greaterThan(0)
    expect(requests).to.be.greaterThan(failures)
  })

  it('fails where a request fails at any other time', async () => {
    const load = startInterrupted([request], 5)
    await load.during(away)
    await sleep(20)
    await away()
    expect(await failureOf(load)).to.match(/^failed while nothing was away \(it was [\d.]+ to [\d.]+ s before\): refused$/)
  })

  it('fails where a stream ends at any other time, also one that began before the program was away', async () => {
    const load = startInterrupted([request], 5)
    const stream = Promise.withResolvers<void>()
    load.watch(stream.promise)
    await load.during(away)
    await sleep(20)
    stream.resolve()
    await sleep(5)
    expect(await failureOf(load)).to.contain('a stream ended')
  })
})
