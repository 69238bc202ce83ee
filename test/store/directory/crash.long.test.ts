import {expect} from 'chai'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {randomSource} from '../../helpers/random.js'
import {ModelNetwork} from '../../ops/rotation/model-network.js'
import {sleep} from '../recorder.js'
import {killedRound} from './crash.js'
import {folderOf} from './folder.js'
import {rotateKilled} from './killed-rotation.js'
import type {Worker} from '../../helpers/worker.js'
import {work} from './work.js'

describe('store/directory: killed again and again', () => {
  const folder = folderOf(testFleet(testDependencies(new Date().toISOString()), []))

  const random = randomSource('when a process is killed')

  it('writers leave a legal store, at whatever moment they are killed', async () => {
    let inTheMiddle = 0
    for (let round = 0; round < 100; round += 1) if (await killedRound(folder, round, random() * 400)) inTheMiddle += 1
    expect(inTheMiddle).to.be.greaterThan(30)
  })

  it('holders and takers of a lock are never two inside', async () => {
    const file = folder.file('.some.lock')
    let takers: Worker[] = Array.from({length: 4}, () => work('lock', file, '1000000'))
    const said: string[] = []
    for (let round = 0; round < 60; round += 1) {
      const [victim, ...others] = takers
      if (victim === undefined) throw new Error('nobody to kill')
      await victim.line(line => line === 'begins')
      await sleep(random() * 100)
      await victim.kill()
      said.push(...victim.said)
      takers = [...others, work('lock', file, '1000000')]
    }

    await Promise.all(takers.map(async taker => taker.kill()))
    expect([...said, ...takers.flatMap(taker => taker.said)].filter(line => line.startsWith('not alone'))).to.deep.equal([])
  })
})

describe('store/directory: a rotation of the root', () => {
  const network = new ModelNetwork(testDependencies(), ['lyon', 'paris'])
  const folder = folderOf(network.fleet)

  it('by processes that are each killed between two files goes on where the one before ended, and never back', async () => {
    expect(await rotateKilled('root', folder, network)).to.be.greaterThan(12)
  })
})
