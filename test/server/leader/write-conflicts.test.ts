import {expect} from 'chai'
import {type Change, reduce, reduceAll} from '../../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {type WriteConflicts, openWriteConflicts} from '../../../src/server/leader/write-conflicts.js'

const object = 'Service/paris-thanos-sidecar0'
const wanted: Change = {kind: 'derived', object, value: 'ours'}

/** A server that wants `ours` to stand there, and looks every `everyMs`; how often it has written, and what it has told. */
function play(rival: (text: string | undefined, ms: number) => string | undefined, {everyMs, untilMs}: {everyMs: number; untilMs: number}) {
  let ms = 0
  const told: string[] = []
  const writes: number[] = []
  const rewrites = openWriteConflicts(
    {rewriteMs: 1000, rewriteMaxMs: 16_000},
    name => told.push(name),
    () => ms,
  )
  let fleet: Fleet = emptyFleet
  for (; ms <= untilMs; ms += everyMs) {
    fleet = reduce(fleet, {kind: 'derived', object, value: rival(fleet.derived.get(object), ms)})
    if (fleet.derived.get(object) === 'ours') continue
    const made = rewrites.take(fleet, [wanted], 'all')
    rewrites.wrote(fleet, made)
    fleet = reduceAll(fleet, made)
    if (made.length > 0) writes.push(ms)
  }

  return {writes, told, rewrites}
}

describe('server/rewrites', () => {
  it('whoever writes over it at once, always, is answered after ever longer pauses, and named once', () => {
    const {writes, told} = play((_, ms) => (ms === 0 ? undefined : 'theirs'), {everyMs: 10, untilMs: 100_000})
    expect(writes).to.deep.equal([0, 10, 1010, 3010, 7010, 15_010, 31_010, 47_010, 63_010, 79_010, 95_010])
    expect(told).to.deep.equal([object])
  })

  it('whoever does so once in a while is answered at once', () => {
    const {writes, told} = play((text, ms) => (ms % 40_000 === 0 ? 'theirs' : text), {everyMs: 1000, untilMs: 120_000})
    expect(writes).to.deep.equal([0, 40_000, 80_000, 120_000])
    expect(told).to.deep.equal([])
  })

  it('what changes with the fleet is no circle', () => {
    const rewrites = open()
    let fleet: Fleet = emptyFleet
    for (let index = 0; index < 20; index += 1) {
      const change: Change = {kind: 'endpoints', value: `endpoints ${index}`}
      expect(rewrites.take(fleet, [change], 'some')).to.deep.equal([change])
      rewrites.wrote(fleet, [change])
      fleet = reduce(fleet, change)
    }
  })

  it('what waits does so until it is looked at again, what could not be written does not count, other changes pass', () => {
    const rewrites = open()
    const other: Change = {kind: 'replicas', value: ['ads-0']}
    const theirs = reduce(emptyFleet, {kind: 'derived', object, value: 'theirs'})
    rewrites.wrote(emptyFleet, [wanted])
    // at once, twice: the first time it failed
    expect(rewrites.take(theirs, [wanted], 'all')).to.have.length(1)
    expect(rewrites.take(theirs, [wanted], 'all')).to.have.length(1)
    rewrites.wrote(theirs, [wanted])
    expect(rewrites.wait()).to.equal(undefined)
    expect(rewrites.take(theirs, [other, wanted], 'all')).to.deep.equal([other])
    expect(rewrites.wait()).to.equal(1000)
    expect(rewrites.take(theirs, [], 'some')).to.deep.equal([])
    expect(rewrites.wait()).to.equal(1000)
    rewrites.take(theirs, [], 'all')
    expect(rewrites.wait()).to.equal(undefined)
  })

  it('what Atlas has removed and makes again is new', () => {
    const rewrites = open()
    rewrites.wrote(emptyFleet, [wanted])
    const ours = reduce(emptyFleet, wanted)
    rewrites.wrote(ours, [{kind: 'derived', object, value: undefined}])
    rewrites.wrote(emptyFleet, [wanted])
    expect(rewrites.take(reduce(ours, {kind: 'derived', object, value: 'theirs'}), [wanted], 'all')).to.have.length(1)
  })
})

function open(): WriteConflicts {
  return openWriteConflicts(
    {rewriteMs: 1000, rewriteMaxMs: 16_000},
    () => undefined,
    () => 0,
  )
}
