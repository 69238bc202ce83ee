/** The lines that the log has about changes of the fleet, whichever process has written them. */
import {expect} from 'chai'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {Rotation} from '../../../src/lib/model/rotation.js'
import {planRemoval, planRestore, planRevocation} from '../../../src/lib/ops/revoke.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {CHANGES_PER_MINUTE, openFleetLog} from '../../../src/server/fleet/fleet-log.js'
import {silentLog} from '../../../src/server/log.js'
import {testCluster} from '../../helpers/fleet.js'
import {testDependencies, testFleet, testSettings} from '../../helpers/dependencies.js'

const dependencies = testDependencies()
const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const fleet = testFleet(dependencies, [paris, lyon])

/** What is logged for these changes, one update after the other, as `LEVEL TEXT [CLUSTERS]`; and the fleet after them. */
function logged(before: Fleet, ...updates: readonly (readonly Change[])[]): {readonly lines: readonly string[]; readonly after: Fleet} {
  const lines: string[] = []
  const write =
    (level: string) =>
    (text: string, fields: object = {}): void => {
      lines.push([level, text, ...Object.values(fields).map(value => `[${String(value)}]`)].join(' '))
    }
  const observer = openFleetLog({...silentLog, info: write('info'), warn: write('warn')})
  let known = before
  for (const changes of updates) {
    const after = reduceAll(known, changes)
    observer.changed({before: known, after, changes})
    known = after
  }

  return {lines, after: known}
}

const registered = (name: string, differing: object = {}): Change => ({
  kind: 'registration',
  name: parseClusterName(name),
  value: testCluster(name, differing),
})

describe('server/fleet: the log of changes', () => {
  it('has a line in the words of the operator for a cluster that is registered, changed, revoked, restored and removed', () => {
    const {lines, after} = logged(fleet, [registered('oslo')], [registered('paris', {replicas: 3})])
    expect(lines).to.deep.equal(['info registered [oslo]', 'info the registration was changed [paris]'])
    const revoked = logged(after, planRevocation(after, paris, {reissue: false}, dependencies))
    expect(revoked.lines).to.deep.equal([
      'warn revoked: its certificates of generation 1 are refused; nothing is issued before "atlas cluster restore paris" [paris]',
    ])
    const restored = logged(revoked.after, planRestore(revoked.after, paris))
    expect(restored.lines).to.deep.equal(['info restored: no longer revoked: certificates of generation 2 are issued for it [paris]'])
    expect(logged(restored.after, planRemoval(restored.after, lyon, dependencies)).lines).to.deep.equal([
      'info removed for good: its certificates are no longer accepted [lyon]',
      'info the registration was deleted [lyon]',
    ])
  })

  it('has a line for what rotate has issued, and none for what is issued the first time', () => {
    const issued = (kind: 'credential' | 'identity', from = [lyon, paris]): readonly Change[] =>
      [paris, lyon].map((owner, index) => {
        const values = kind === 'identity' ? fleet.identities : fleet.credentials
        return {kind, owner, value: values.get(from[index] ?? owner)} as Change
      })
    expect(logged(fleet, issued('identity'), issued('credential')).lines).to.deep.equal([
      'info rotated: a new identity was issued [paris, lyon]',
      'info rotated: a new ADS credential was issued, to be applied in the cluster [paris, lyon]',
    ])
    // As an object brings it that could not be read for a while.
    const same = [...issued('identity', [paris, lyon]), ...issued('credential', [paris, lyon])]
    const registrations = [...fleet.registrations].map(([name, value]): Change => ({kind: 'registration', name, value}))
    expect(logged(fleet, [...same, ...registrations]).lines).to.deep.equal([])
    const {after} = logged(fleet, [registered('oslo')])
    const first = planReconcile(after, dependencies)
    expect(first.map(({kind}) => kind)).to.include('identity')
    expect(logged(after, first).lines).to.deep.equal([])
  })

  it('has a line for each stage of a rotation, and for settings', () => {
    const rotation: Rotation = {part: 'issuer', stage: 'announce', startedAt: 'a', since: 'a', skipped: [], waitingFor: []}
    const at = (value: Partial<Rotation> | undefined): readonly Change[] => [{kind: 'rotation', value: value && {...rotation, ...value}}]
    const {lines} = logged(fleet, at({}), at({waitingFor: ['paris']}), at({stage: 'leaves'}), at(undefined), [
      {kind: 'settings', value: {...testSettings, adsPort: 443}},
      {kind: 'replicas', value: ['a']},
    ])
    expect(lines).to.deep.equal([
      'info the rotation of the issuer has begun, stage 1 of 3 (announce)',
      'info the rotation of the issuer goes on, stage 2 of 3 (leaves)',
      'info the rotation of the issuer has ended',
      'info the settings were changed: adsPort',
    ])
    const {lines: written} = logged(emptyFleet, [{kind: 'settings', value: testSettings}], [{kind: 'settings', value: undefined}])
    expect(written).to.deep.equal(['info the settings were written', 'info the settings were deleted'])
  })

  it('is bounded: many clusters at once are one line, and a minute has so many lines', () => {
    const many = Array.from({length: 50}, (_, index) => registered(`c${String(index).padStart(2, '0')}`))
    expect(logged(fleet, many).lines).to.deep.equal(['info registered [c00, c01, c02, c03, c04, c05, c06, c07, c08, c09 and 40 more]'])
    const one = Array.from({length: CHANGES_PER_MINUTE + 20}, (_, index) => [registered('paris', {replicas: (index % 5) + 1})])
    expect(logged(fleet, ...one).lines).to.have.length(CHANGES_PER_MINUTE)
    const {lines} = logged(fleet, ...one, planRevocation(fleet, paris, {reissue: false}, dependencies))
    expect(lines, 'a revocation is not crowded out').to.have.length(CHANGES_PER_MINUTE + 1)
    expect(lines.at(-1)).to.match(/^warn revoked: /)
  })
})
