/** A directory that its user may not write to for a while. A disk without room, and a rotation of the root: full-disk.long. */
import {expect} from 'chai'
import {rotateOnRefusingDisk} from './refused-rotation.js'

describe('store/directory: a rotation of the issuer', function () {
  this.timeout(120_000)

  it('goes on, and never back, in one process that loses the right to write between two files again and again', async () => {
    expect(await rotateOnRefusingDisk('issuer', 'denied')).to.be.greaterThan(3)
  })
})
