/** The leader's warnings in its Lease: bounded, and gone with their cause. */
import {expect} from 'chai'
import {offlineRootsIn, warningsIn, withOfflineRoots, withWarnings} from '../../../src/lib/store/kubernetes/lease-warnings.js'

describe('store/kubernetes/lease-warnings', () => {
  const metadata = {name: 'atlas', annotations: {other: 'kept'}}

  it('are read as they were written, and leave no annotation once there are none', () => {
    const written = withWarnings(metadata, ['nothing is signed'])
    expect(warningsIn({metadata: written})).to.deep.equal(['nothing is signed'])
    expect(withWarnings(written, [])).to.deep.equal(metadata)
  })

  it('are ten of 300 characters at most, also when another program wrote them', () => {
    const many = Array.from({length: 20}, () => 'x'.repeat(1000))
    const read = warningsIn({metadata: withWarnings(metadata, many)})
    expect([read.length, read[0]?.length]).to.deep.equal([10, 300])
    const foreign = (text: string): readonly string[] => warningsIn({metadata: {name: 'atlas', annotations: {'goatlas.io/warnings': text}}})
    expect(foreign(JSON.stringify(many))).to.deep.equal(read)
    for (const text of ['{}', '[1]', 'no JSON', '']) expect(foreign(text), text).to.deep.equal([])
  })

  it('stand beside the roots whose keys are kept offline, none of which is said until they are known', () => {
    const sha256 = 'a1'.repeat(32)
    expect(offlineRootsIn({metadata})).to.equal(undefined)
    const written = withOfflineRoots(withWarnings(metadata, ['nothing is signed']), [sha256])
    expect(offlineRootsIn({metadata: written})).to.deep.equal([sha256])
    expect(warningsIn({metadata: written})).to.deep.equal(['nothing is signed'])
    expect(offlineRootsIn({metadata: withOfflineRoots(written, [])})).to.deep.equal([])
    expect(withWarnings(withOfflineRoots(written, undefined), [])).to.deep.equal(metadata)
    expect(offlineRootsIn({metadata: {name: 'atlas', annotations: {'goatlas.io/offline-roots': 'x y'}}})).to.deep.equal([])
  })
})
