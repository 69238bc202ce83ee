import {expect} from 'chai'
import {testDependencies} from '../../helpers/dependencies.js'
import {ModelNetwork} from '../../ops/rotation/model-network.js'
import {folderOf} from './folder.js'
import {rotateKilled} from './killed-rotation.js'

describe('store/directory: a rotation of the issuer', function () {
  this.timeout(120_000)
  const network = new ModelNetwork(testDependencies(), ['paris'])
  const folder = folderOf(network.fleet)

  it('by processes that are each killed between two files goes on where the one before ended, and never back', async () => {
    expect(await rotateKilled('issuer', folder, network)).to.be.greaterThan(5)
  })
})
