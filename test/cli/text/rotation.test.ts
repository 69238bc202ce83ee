/** `rotate` as text: what a rotation waits for and what a person does about it, and how long the clock of a server that was just started holds it up. */
import {expect} from 'chai'
import {renderByHand, renderLeftBehind, renderRotation} from '../../../src/lib/cli/text/rotation-progress.js'
import {renderClockWait, renderStages, renderThief} from '../../../src/lib/cli/text/rotation.js'
import type {CertifiedKey} from '../../../src/lib/model/authority.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {type Owner, OBSERVABILITY, parseClusterName} from '../../../src/lib/model/names.js'
import type {Report} from '../../../src/lib/model/report.js'
import type {Rotation} from '../../../src/lib/model/rotation.js'
import {defaultSettings} from '../../../src/lib/model/settings.js'
import {applyCredential} from '../../../src/lib/ops/rotation/stage-checks.js'
import {rootSpec} from '../../../src/lib/pki/certificate-specs.js'
import {issue} from '../../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'

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

  it('says of a cluster that refuses what it is sent what to do about it', () => {
    const rotation = (...waitingFor: string[]): Rotation => ({
      ...{part: 'root', stage: 'announce', startedAt: '', since: now.toISOString(), skipped: []},
      waitingFor,
    })
    const refuses = (node: string): string => `${node} has not acknowledged the present trust bundle: it refused it (Failed to load)`
    const text = renderRotation(rotation(refuses('oslo (oslo-0)'), refuses('oslo (oslo-1)'), 'lyon (lyon-0) has not acknowledged it'), now)
    expect(text.split('\n').at(-1)).to.equal(
      'Repair the Envoy of oslo ("atlas status" shows it; a restart makes it ask again), or go on without it: "atlas rotate --root --skip oslo" leaves it behind until its newest credential is applied there; "atlas cluster remove oslo", if it is gone for good.',
    )
    expect(renderRotation(rotation(refuses('atlas (atlas-0)')), now)).not.to.contain('--skip')
  })

  it('says what breaks for a cluster that is left behind, and what repairs it', () => {
    const skipped = [parseClusterName('oslo'), parseClusterName('rome')]
    const text = renderLeftBehind('root', skipped)
    expect(text).to.match(
      /^Left behind: oslo, rome\. Each is cut off from stage 3 of 4 \(leaves\) on, .* until its newest credential is applied/,
    )
    expect(renderLeftBehind('issuer', skipped.slice(0, 1))).to.match(
      /^Left behind: oslo\. It is cut off from stage 2 of 3 \(leaves\) on, .* until its Envoy has connected and acknowledged/,
    )
    const rotation: Rotation = {part: 'root', stage: 'leaves', startedAt: '', since: now.toISOString(), skipped, waitingFor: []}
    expect(renderRotation(rotation, now)).to.contain(text)
  })

  it('says in which order credentials are applied where no Envoy is connected', () => {
    const lacking = (owner: Owner): string => `${owner} has no connected Envoy: ${applyCredential(owner)}`
    const rotation = (...owners: Owner[]): Rotation => ({
      ...{part: 'root', stage: 'leaves', startedAt: '', since: now.toISOString(), skipped: []},
      waitingFor: owners.map(owner => lacking(owner)),
    })
    const order = 'Begin with the observability Envoy: every other one connects through it.'
    expect(renderRotation(rotation(OBSERVABILITY, parseClusterName('oslo')), now)).to.contain(order)
    for (const each of [rotation(OBSERVABILITY), rotation(parseClusterName('oslo'))])
      expect(renderRotation(each, now)).not.to.contain(order)
  })

  it('says at the beginning of a rotation of the root what is to be applied by hand, and whether the present root is of no use', () => {
    const settings = defaultSettings
    const root = issue(rootSpec(settings), undefined, now, cryptoSigner)
    const fleet = (authority: CertifiedKey | undefined): Fleet => ({
      ...emptyFleet,
      ...(authority !== undefined && {authority: new Map([['root', authority]])}),
      trust: {roots: [root.certificate], issuers: [root.certificate], credentialIssuers: [root.certificate]},
    })
    const usual = renderByHand(fleet(root), now)
    expect(usual).to.match(
      /^By hand: in stage 2 of 4 \(credentials\), and again in stage 4 of 4 \(retire\), .* "atlas rotate --status" lists them/,
    )
    const later = new Date(now.getTime() + (settings.lifetimes.root + 1) * 1000)
    expect(renderByHand(fleet(root), later)).to.match(
      /^The present root has ended, .*By hand: in stage 3 of 4 \(leaves\), and again in stage 4 of 4 .*observability Envoy first/s,
    )
    expect(renderByHand(fleet(root), later)).to.match(/\nThe second round is not urgent, .* because .* carry the former root, too: /)
    expect(usual).not.to.contain('round')
    expect(renderByHand(fleet(undefined), now)).to.equal(usual)
    expect(renderByHand(fleet(undefined), later)).to.equal(renderByHand(fleet(root), later))
  })

  it('says in the plan of a root that has ended which stages wait for no Envoy, and where the two rounds by hand are', () => {
    const [announce, credentials, leaves, retire] = renderStages('root', {hasEnded: true}).split('\n')
    expect(announce).to.match(/^1\. announce: .*; no Envoy is waited for/)
    expect(credentials).to.match(/^2\. credentials: .*; no Envoy is waited for$/)
    expect(leaves).to.match(/^3\. leaves: .* the first round by hand: .*, that of the observability Envoy first$/)
    expect(retire).to.match(/^4\. retire: .* each must be applied, .*: the second round by hand$/)
  })

  it('says of the former issuer’s key what a thief can do until the root is replaced, too; of the former root’s key nothing is left then', () => {
    const until =
      'Where a server is verified by the root (ca.crt: for ADS and on the internal ports), that key counts until the root is replaced, too'
    expect(renderThief('issuer'))
      .to.contain('can make identities of every cluster')
      .and.contain(until)
      .and.contain('If it was stolen, go on with "atlas rotate --root".')
    expect(renderThief('root')).to.contain('can do all that Atlas can').and.not.contain('until the root is replaced')
  })

  it('says nothing where the clock is confirmed or has held, and where no server reports', () => {
    for (const reports of [[], [report()], [report('2026-11-23T12:00:00.000Z')], [report('2026-11-23T11:00:00.000Z')]])
      expect(renderClockWait(reports, now, idle)).to.equal(undefined)
  })
})
