import {expect} from 'chai'
import {pause, waitFor} from '../../../src/demo/lab/wait.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {rejectedBy} from '../../helpers/thrown.js'

const signal = new AbortController().signal

describe('demo/wait', () => {
  it('returns the value of the probe, however often it throws before', async () => {
    let count = 0
    const value = await waitFor(
      'it',
      async () => {
        count += 1
        if (count < 3) throw new Error('not yet')
        return count
      },
      {signal, timeoutMs: 30_000, everyMs: 1},
    )
    expect(value).to.equal(3)
  })

  it('names what it waited for, and the last error of the probe', async () => {
    const probe = async (): Promise<never> => {
      throw new Error('no moon')
    }
    const error = await rejectedBy(waitFor('the moon', probe, {signal, timeoutMs: 20, everyMs: 5}))
    expect(error.message).to.equal('timed out after 0 s waiting for the moon: no moon')
  })

  it('throws the reason of the signal, also during a pause', async () => {
    const controller = new AbortController()
    const reason = new AtlasError('failed', 'Ctrl-C')
    setTimeout(() => controller.abort(reason), 10)
    const waiting = waitFor('ever', async () => undefined, {signal: controller.signal, timeoutMs: 60_000, everyMs: 30_000})
    expect(await rejectedBy(waiting)).to.equal(reason)
    expect(await rejectedBy(pause(10_000, controller.signal))).to.equal(reason)
  })
})
