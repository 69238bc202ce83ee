/** `rotate` as text: how long the clock of a server that was just started holds a rotation up. */
import {expect} from 'chai'
import {renderClockWait, renderRotation} from '../../../src/lib/cli/text/rotation.js'
import {emptyFleet} from '../../../src/lib/model/fleet.js'
import type {Report} from '../../../src/lib/model/report.js'
import type {Rotation} from '../../../src/lib/model/rotation.js'

const now = new Date('2026-11-23T12:00:00.000Z')
const idle = emptyFleet
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
    const text = renderClockWait([report('2026-11-23T12:02:00.000Z'), report('2026-11-23T12:09:57.500Z'), report()], now, idle)
    expect(text).to.contain('in 9m 58s at most').and.to.contain('"atlas rotate" issues identities at once')
  })

  it('names the command that is not refused, where a rotation of the root issues what every Envoy is shown', () => {
    const rotation: Rotation = {part: 'root', stage: 'leaves', startedAt: '', since: '', skipped: [], waitingFor: []}
    const text = renderClockWait([report('2026-11-23T12:02:00.000Z')], now, {...idle, rotation})
    expect(text).to.contain('"atlas rotate NAME" issues the identity of a cluster').and.not.to.contain('"atlas rotate" issues')
    const before = renderClockWait([report('2026-11-23T12:02:00.000Z')], now, {...idle, rotation: {...rotation, stage: 'credentials'}})
    expect(before).to.contain('"atlas rotate" issues identities at once')
  })

  it('says of clusters without an Envoy how the rotation goes on without them, and nothing of the observability cluster', () => {
    const rotation = (...waitingFor: string[]): Rotation => ({
      ...{part: 'issuer', stage: 'announce', startedAt: '', since: now.toISOString(), skipped: []},
      waitingFor,
    })
    const alone = renderRotation(rotation('rome has no connected Envoy', 'oslo (oslo-0) has not acknowledged it'), now)
    expect(alone.split('\n').at(-1)).to.equal(
      'Start the Envoy of rome, or go on without it: "atlas rotate --issuer --skip rome" leaves it behind until it connects again; "atlas cluster remove rome", if it is gone for good.',
    )
    const several = renderRotation({...rotation('rome has no connected Envoy: apply it', 'oslo has no connected Envoy'), part: 'root'}, now)
    expect(several).to.match(/Start the Envoy of each cluster, .*"atlas rotate --root --skip rome".*, and so on for each\.$/)
    expect(renderRotation(rotation('atlas has no connected Envoy'), now)).not.to.contain('--skip')
  })

  it('says nothing where the clock is confirmed or has held, and where no server reports', () => {
    for (const reports of [[], [report()], [report('2026-11-23T12:00:00.000Z')], [report('2026-11-23T11:00:00.000Z')]])
      expect(renderClockWait(reports, now, idle)).to.equal(undefined)
  })
})
