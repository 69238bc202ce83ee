/** Dependencies that tests control: a clock that they set, keys that are the same every time. */
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {type Settings, defaultSettings} from '../../src/lib/model/settings.js'
import {parseAddress} from '../../src/lib/model/address.js'
import type {OpsDependencies} from '../../src/lib/ops/dependencies.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {symbolicSigner} from '../../src/lib/pki/symbolic.js'
import {testCluster} from './fleet.js'

export interface TestDependencies extends OpsDependencies {
  /** Advances the clock. */
  pass(seconds: number): void
}

export const testSettings: Settings = {...defaultSettings, addresses: [parseAddress('203.0.113.7')]}

export function testDependencies(start = '2026-11-23T00:00:00.000Z', seed = 'test'): TestDependencies {
  let now = Date.parse(start)
  return {
    now: () => new Date(now),
    signer: symbolicSigner(seed),
    pass: seconds => {
      now += seconds * 1000
    },
  }
}

/** A fleet after `init` and `cluster add`, with every certificate issued. */
export function testFleet(dependencies: OpsDependencies, names: readonly string[] = ['paris'], settings: Settings = testSettings): Fleet {
  const changes: Change[] = [
    {kind: 'settings', value: settings},
    {kind: 'authority', part: 'root', value: issue(rootSpec(settings), undefined, dependencies.now(), dependencies.signer)},
    ...names.map((name): Change => ({kind: 'registration', name: testCluster(name).name, value: testCluster(name)})),
  ]
  return reconciled(reduceAll(emptyFleet, changes), dependencies)
}

/** The fleet after `reconcile`, without a store. */
export function reconciled(fleet: Fleet, dependencies: OpsDependencies): Fleet {
  return reduceAll(fleet, planReconcile(fleet, dependencies))
}
