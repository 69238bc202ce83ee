import {expect} from 'chai'
import {type Change, reduce, reduceAll} from '../../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {type WriteConflicts, openWriteConflicts} from '../../../src/server/leader/write-conflicts.js'

const object = 'Service/paris-thanos-sidecar0'
const wanted: Change = {kind: 'derived', object, value: 'ours'}

/** A server that keeps an object at `ours` and looks every `everyMs`: when it has written, and what it has reported. */
function play(rival: (text: string | undefined, ms: number) => string | undefined, {everyMs, untilMs}: {everyMs: number; untilMs: number}) {
  let ms = 0
  const reported: string[] = []
  const writes: number[] = []
  const conflicts = openWriteConflicts(
    {rewriteMs: 1000, rewriteMaxMs: 16_000},
    name => reported.push(name),
    () => ms,
  )
  let fleet: Fleet = emptyFleet
  for (; ms <= untilMs; ms += everyMs) {
    fleet = reduce(fleet, {kind: 'derived', object, value: rival(fleet.derived.get(object), ms)})
    if (fleet.derived.get(object) === 'ours') continue
    const made = conflicts.take(fleet, [wanted], 'all')
    conflicts.wrote(fleet, made)
    fleet = reduceAll(fleet, made)
    if (made.length > 0) writes.push(ms)
  }

  return {writes, reported, conflicts}
}

describe('write conflicts', () => {
  it('an object that another writer always overwrites is written less and less often, and reported once', () => {
    const {writes, reported} = play((_, ms) => (ms === 0 ? undefined : 'theirs'), {everyMs: 10, untilMs: 100_000})
    expect(writes).to.deep.equal([0, 10, 1010, 3010, 7010, 15_010, 31_010, 47_010, 63_010, 79_010, 95_010])
    expect(reported).to.deep.equal([object])
  })

  it('an object that is overwritten once in a while is written again at once', () => {
    const {writes, reported} = play((text, ms) => (ms % 40_000 === 0 ? 'theirs' : text), {everyMs: 1000, untilMs: 120_000})
    expect(writes).to.deep.equal([0, 40_000, 80_000, 120_000])
    expect(reported).to.deep.equal([])
  })

  it('an object that changes with the fleet is written without a pause', () => {
    const conflicts = open()
    let fleet: Fleet = emptyFleet
    for (let index = 0; index < 20; index += 1) {
      const change: Change = {kind: 'endpoints', value: {text: `endpoints ${index}`}}
      expect(conflicts.take(fleet, [change], 'some')).to.deep.equal([change])
      conflicts.wrote(fleet, [change])
      fleet = reduce(fleet, change)
    }
  })

  it('a pause lasts until the next look, a failed write does not lengthen it, and changes of other objects pass', () => {
    const conflicts = open()
    const other: Change = {kind: 'replicas', value: ['ads-0']}
    const theirs = reduce(emptyFleet, {kind: 'derived', object, value: 'theirs'})
    conflicts.wrote(emptyFleet, [wanted])
    // at once, twice: the first time it failed
    expect(conflicts.take(theirs, [wanted], 'all')).to.have.length(1)
    expect(conflicts.take(theirs, [wanted], 'all')).to.have.length(1)
    conflicts.wrote(theirs, [wanted])
    expect(conflicts.wait()).to.equal(undefined)
    expect(conflicts.take(theirs, [other, wanted], 'all')).to.deep.equal([other])
    expect(conflicts.wait()).to.equal(1000)
    expect(conflicts.take(theirs, [], 'some')).to.deep.equal([])
    expect(conflicts.wait()).to.equal(1000)
    conflicts.take(theirs, [], 'all')
    expect(conflicts.wait()).to.equal(undefined)
  })

  it('an object that Kubernetes has deleted with its registration is forgotten', () => {
    const conflicts = open()
    conflicts.wrote(emptyFleet, [wanted])
    const theirs = reduce(emptyFleet, {kind: 'derived', object, value: 'theirs'})
    conflicts.wrote(theirs, [wanted])
    expect(conflicts.take(theirs, [wanted], 'some')).to.deep.equal([])
    expect(conflicts.wait()).to.equal(1000)
    conflicts.take(emptyFleet, [], 'some')
    expect(conflicts.wait()).to.equal(undefined)
    expect(conflicts.take(theirs, [wanted], 'some')).to.deep.equal([wanted])
  })

  it('an object that Atlas has removed and creates again does not pause', () => {
    const conflicts = open()
    conflicts.wrote(emptyFleet, [wanted])
    const ours = reduce(emptyFleet, wanted)
    conflicts.wrote(ours, [{kind: 'derived', object, value: undefined}])
    conflicts.wrote(emptyFleet, [wanted])
    expect(conflicts.take(reduce(ours, {kind: 'derived', object, value: 'theirs'}), [wanted], 'all')).to.have.length(1)
  })
})

function open(): WriteConflicts {
  return openWriteConflicts(
    {rewriteMs: 1000, rewriteMaxMs: 16_000},
    () => undefined,
    () => 0,
  )
}
