/** An object whose write is refused pauses, and delays no other owner's changes. */
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

describe('pauses', () => {
  it('leave out a pausing object and later changes of the same owner, and nothing else', () => {
    let now = 0
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => now)
    const plan: readonly Change[] = [
      derived,
      {kind: 'credential', owner: paris, value: undefined},
      {kind: 'credential', owner: lyon, value: undefined},
      answer(),
      answer(lyon),
    ]
    expect(pauses.take(plan)).to.equal(plan)
    pauses.refused([refusal(service, ['paris'])])
    expect(pauses.take(plan)).to.deep.equal([plan[2], plan[4]])
    expect(pauses.wait()).to.equal(100)
    now = 100
    expect(pauses.due()).to.deep.equal(['paris'])
    expect(pauses.take(plan)).to.deep.equal(plan)
  })

  it('grow up to a limit, and end when the object is written or changed', () => {
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => 0)
    const waits = [1, 2, 3, 4].map(() => {
      pauses.refused([refusal(service, ['paris'])])
      return pauses.wait()
    })
    expect(waits).to.deep.equal([100, 200, 300, 300])
    pauses.wrote([derived])
    expect(pauses.wait()).to.equal(undefined)
    pauses.refused([refusal(service, ['paris'])])
    pauses.changed(service)
    expect(pauses.failure()).to.equal(undefined)
  })

  it('are shorter where the API server failed at an object that is not derived: a revocation may wait for it', () => {
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => 0)
    const longest = (object: string): number | undefined => {
      const error = new AtlasError('unreachable', 'the API server answered 500')
      for (let count = 0; count < 5; count += 1) pauses.refused([{object, owners: ['paris'], error}])
      const wait = pauses.wait()
      pauses.changed(object)
      return wait
    }
    expect([longest('ConfigMap/atlas-records-00'), longest(service)]).to.deep.equal([150, 300])
  })

  it('are forgotten once no plan for their owners names their objects', () => {
    let now = 0
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => now)
    pauses.refused([refusal(service, ['paris'])])
    pauses.retain([], new Set([lyon]))
    expect(pauses.wait()).to.equal(100)
    pauses.retain([derived], new Set([paris]))
    expect(pauses.wait()).to.equal(100)
    now = 100
    pauses.retain([answer()], new Set([paris]))
    expect(pauses.wait()).to.equal(undefined)
    expect(pauses.failure()).to.equal(undefined)
    pauses.refused([refusal('Secret/atlas-client-ops', ['client/ops']), refusal('ConfigMap/atlas-coredns', [])])
    pauses.retain([], new Set([paris]))
    expect(pauses.failure()).to.equal(undefined)
  })

  it('report each reason once', () => {
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => 0)
    expect(pauses.refused([refusal(service, ['paris'])])).to.have.length(1)
    expect(pauses.refused([refusal(service, ['paris'])])).to.have.length(0)
    expect(pauses.refused([refusal(service, ['paris'], 'another')])).to.have.length(1)
    expect(pauses.failure()).to.contain(service).and.to.contain('another')
  })

  it('delay the answer to a request for all, unless the object is derived', () => {
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => 0)
    const [server, zone]: readonly Change[] = [
      {kind: 'server', value: undefined},
      {kind: 'derived', object: 'ConfigMap/atlas-coredns', value: '{}'},
    ]
    const forAll: Change = {
      kind: 'request',
      id: 'r',
      value: {kind: 'rotate', owners: [], requestedAt: '2026-11-25T00:00:00.000Z', state: 'done'},
    }
    pauses.refused([refusal('ConfigMap/atlas-coredns', [])])
    expect(pauses.take([server, zone, forAll].filter(change => change !== undefined))).to.deep.equal([server, forAll])
    pauses.refused([refusal('Secret/atlas-ads-tls', [])])
    expect(pauses.take([server, zone, forAll].filter(change => change !== undefined))).to.deep.equal([])
  })

  it('delay everything behind an object that everything needs', () => {
    const pauses = openPauses({refusedMs: 100, refusedMaxMs: 300, failedMaxMs: 150}, () => 0)
    pauses.refused([refusal('ConfigMap/atlas-trust-bundle', [])])
    const trust: Change = {kind: 'trust', value: undefined}
    expect(pauses.take([trust, {kind: 'identity', owner: lyon, value: undefined}])).to.deep.equal([])
  })
})
