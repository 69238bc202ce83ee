/** Rotations on a directory whose disk is full for a while, which is a small file system of its own; and one that may not be written to. */
import {expect} from 'chai'
import {rotateOnRefusingDisk} from './refused-rotation.js'

describe('store/directory: a rotation', function () {
  this.timeout(120_000)

  for (const part of ['issuer', 'root'] as const)
    it(`of the ${part} goes on, and never back, in one process whose disk is full between two files again and again`, async () => {
      expect(await rotateOnRefusingDisk(part, 'full')).to.be.greaterThan(3)
    })

  it('of the root goes on, and never back, in one process that loses the right to write between two files again and again', async () => {
    expect(await rotateOnRefusingDisk('root', 'denied')).to.be.greaterThan(3)
  })
})
