/** When the stored list of Alertmanagers changes: what is uncertain changes nothing. */
import {expect} from 'chai'
import {ALERTMANAGERS_MAX, type Alertmanager} from '../../src/lib/model/alertmanager.js'
import type {Change} from '../../src/lib/model/change.js'
import {reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {planAlertmanagers} from '../../src/lib/ops/alertmanagers.js'

const named = (name: string): Alertmanager => ({name, host: `${name}.alertmanager-operated.monitoring.svc.cluster.local`, port: 9093})
const [am0, am1, am2] = [named('am-0'), named('am-1'), named('am-2')]
const byAddress: Alertmanager = {name: 'am-1', host: '10.0.0.1', port: 9093}

function fleet(stored: readonly Alertmanager[] | undefined, selector = true): Fleet {
  const alertmanagerSelector = selector ? {namespace: 'monitoring', selector: 'a=b'} : undefined
  return reduceAll(emptyFleet, [
    {kind: 'settings', value: {...defaultSettings, alertmanagerSelector}},
    ...(stored === undefined ? [] : [{kind: 'alertmanagers', value: stored} as const]),
  ])
}

const look = (found: readonly Alertmanager[], goneSince: readonly (readonly [string, number])[] = []) => ({
  found,
  goneSince: new Map(goneSince),
  now: 1000,
  keptMs: 300,
})
const to = (...value: readonly Alertmanager[]): readonly Change[] => [{kind: 'alertmanagers', value}]

describe('ops/alertmanagers', () => {
  it('stores what is found, if it differs', () => {
    expect(planAlertmanagers(fleet(undefined), look([am0, am1]))).to.deep.equal(to(am0, am1))
    expect(planAlertmanagers(fleet([am0, am1]), look([am0, am1]))).to.deep.equal([])
    expect(planAlertmanagers(fleet([am0]), look([am0, am1]))).to.deep.equal(to(am0, am1))
  })

  it('changes nothing before it has looked, or can not, and while nothing is found', () => {
    for (const looked of [undefined, look([])]) expect(planAlertmanagers(fleet([am0]), looked)).to.deep.equal([])
  })

  it('changes nothing while more are found than are kept', () => {
    const many = Array.from({length: ALERTMANAGERS_MAX + 1}, (_, index) => named(`x-${index}`))
    expect(planAlertmanagers(fleet([am0]), look(many))).to.deep.equal([])
    expect(planAlertmanagers(fleet([am0]), look(many.slice(1)))[0]).to.have.nested.property('value.length', ALERTMANAGERS_MAX)
  })

  it('keeps one that is gone for a while, if it may come back under its name', () => {
    expect(planAlertmanagers(fleet([am0, am1, am2]), look([am0, am2], [['am-1', 800]]))).to.deep.equal([])
    expect(planAlertmanagers(fleet([am0, am1, am2]), look([am0, am2], [['am-1', 700]]))).to.deep.equal(to(am0, am2))
    expect(planAlertmanagers(fleet([am0, byAddress]), look([am0], [['am-1', 1000]]))).to.deep.equal(to(am0))
  })

  it('removes the list with the selector, and leaves an unreadable one alone', () => {
    expect(planAlertmanagers(fleet([am0], false), undefined)).to.deep.equal([{kind: 'alertmanagers', value: undefined}])
    expect(planAlertmanagers(fleet(undefined, false), undefined)).to.deep.equal([])
    const object = 'ConfigMap/atlas-alertmanagers'
    const fault = {kind: 'fault', subject: 'alertmanagers', value: {object, key: 'data', message: 'x'}} as const
    expect(planAlertmanagers(reduceAll(fleet([am0]), [fault]), look([am1]))).to.deep.equal([])
  })
})
