/** One object that can't be written holds up nobody else, and whoever asked for it is told. */
import {expect} from 'chai'
import type {Change} from '../../../src/lib/model/change.js'
import {AtlasError} from '../../../src/lib/model/errors.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {openPauses} from '../../../src/server/leader/pauses.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const service = 'Service/paris-thanos-sidecar0'
const refusal = (object: string, owners: readonly string[], message = 'no') => ({object, owners, error: new AtlasError('failed', message)})
const derived: Change = {kind: 'derived', object: service, value: '{}'}
const answer = (owner = paris): Change => ({
  kind: 'request',
  id: 'r',
  value: {kind: 'remove', owners: [owner], requestedAt: '2026-11-25T00:00:00.000Z', state: 'done'},
})

describe('server/refusals', () => {
  it('leaves out what pauses and what comes after it of the same owner, and nothing else', () => {
    let now = 0
    const refusals = openPauses({refusedMs: 100, refusedMaxMs: 300}, () => now)
    const plan: readonly Change[] = [
      derived,
      {kind: 'credential', owner: paris, value: undefined},
      {kind: 'credential', owner: lyon, value: undefined},
      answer(),
      answer(lyon),
    ]
    expect(refusals.take(plan)).to.equal(plan)
    refusals.refused([refusal(service, ['paris'])])
    expect(refusals.take(plan)).to.deep.equal([plan[2], plan[4]])
    expect(refusals.wait()).to.equal(100)
    now = 100
    expect(refusals.due()).to.deep.equal(['paris'])
    expect(refusals.take(plan)).to.deep.equal(plan)
  })

  it('waits longer each time, up to a limit, and forgets what was written or changed', () => {
    const refusals = openPauses({refusedMs: 100, refusedMaxMs: 300}, () => 0)
    const waits = [1, 2, 3, 4].map(() => {
      refusals.refused([refusal(service, ['paris'])])
      return refusals.wait()
    })
    expect(waits).to.deep.equal([100, 200, 300, 300])
    refusals.wrote([derived])
    expect(refusals.wait()).to.equal(undefined)
    refusals.refused([refusal(service, ['paris'])])
    refusals.changed(service)
    expect(refusals.failure()).to.equal(undefined)
  })

  it('tells a reason once, and another one again', () => {
    const refusals = openPauses({refusedMs: 100, refusedMaxMs: 300}, () => 0)
    expect(refusals.refused([refusal(service, ['paris'])])).to.have.length(1)
    expect(refusals.refused([refusal(service, ['paris'])])).to.have.length(0)
    expect(refusals.refused([refusal(service, ['paris'], 'another')])).to.have.length(1)
    expect(refusals.failure()).to.contain(service).and.to.contain('another')
  })

  it('holds up everything behind what everything rests on', () => {
    const refusals = openPauses({refusedMs: 100, refusedMaxMs: 300}, () => 0)
    refusals.refused([refusal('ConfigMap/atlas-trust-bundle', [])])
    const trust: Change = {kind: 'trust', value: undefined}
    expect(refusals.take([trust, {kind: 'identity', owner: lyon, value: undefined}])).to.deep.equal([])
  })
})
