/** `rotate` as text: how long the clock of a server that was just started holds a rotation up. */
import {expect} from 'chai'
import {renderClockWait} from '../../../src/lib/cli/text/rotation.js'
import type {Report} from '../../../src/lib/model/report.js'

const now = new Date('2026-11-23T12:00:00.000Z')
const none = {reasons: [], warnings: [], proxies: [], withoutProxy: [], refusals: [], unrepaired: [], faults: []}
const report = (clockHeldUntil?: string): {report: Report} => ({
  report: {
    ...none,
    ...{format: 1, at: now.toISOString(), startedAt: now.toISOString(), address: '', ready: true},
    ...(clockHeldUntil !== undefined && {clockHeldUntil}),
    store: {description: 'x', reachable: true},
  },
})

describe('cli/text/rotation', () => {
  it('says how long a server whose clock has not held yet holds a rotation up, of several the last', () => {
    const text = renderClockWait([report('2026-11-23T12:02:00.000Z'), report('2026-11-23T12:09:57.500Z'), report()], now)
    expect(text).to.contain('in 9m 58s at most').and.to.contain('"atlas rotate" issues identities at once')
  })

  it('says nothing where the clock is confirmed or has held, and where no server reports', () => {
    for (const reports of [[], [report()], [report('2026-11-23T12:00:00.000Z')], [report('2026-11-23T11:00:00.000Z')]])
      expect(renderClockWait(reports, now)).to.equal(undefined)
  })
})
