import {expect} from 'chai'
import {parseAddress} from '../../../src/lib/model/address.js'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import type {Log} from '../../../src/server/log.js'
import {openTextLimits} from '../../../src/server/leader/text-limits.js'
import {testFleet, testDependencies, testSettings} from '../../helpers/dependencies.js'
import {testCluster} from '../../helpers/fleet.js'

describe('the limits of texts for Thanos Query', () => {
  const dependencies = testDependencies()
  const settings = {...testSettings, endpointTemplate: `${'{service}'.repeat(55)}:10901`}
  const small = testFleet(dependencies, ['paris'], settings)
  const registered = (replicas: number): Change => {
    const value = testCluster('x'.repeat(42), {addresses: [parseAddress('198.51.100.4')], replicas})
    return {kind: 'registration', name: value.name, value}
  }

  it('one that is passed is logged and recorded once, warned of in present numbers, and over when the text is short again', () => {
    const [logged, recorded]: [string[], string[]] = [[], []]
    const write = (message: string): void => void logged.push(message)
    const log: Log = {debug: write, info: write, warn: write, error: write}
    const limits = openTextLimits({log, withZone: false, tooLong: why => recorded.push(why)})
    limits.look(small)
    expect([limits.warnings(), logged, recorded]).to.deep.equal([[], [], []])

    for (const replicas of [350, 360]) {
      limits.look(reduceAll(small, [registered(replicas)]))
      expect(limits.warnings()).to.have.length(1)
      expect(limits.warnings()[0]).to.include(`for ${replicas + 1} replicas`)
    }
    expect(recorded).to.have.length(1)
    expect(logged).to.deep.equal(recorded)

    limits.look(small)
    expect(limits.warnings()).to.deep.equal([])
    expect(logged).to.deep.equal([...recorded, 'a text for Thanos Query is short enough again'])
  })

  it('a server that does not lead any more warns of none', () => {
    const log: Log = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined}
    const limits = openTextLimits({log, withZone: false, tooLong: () => undefined})
    limits.look(reduceAll(small, [registered(350)]))
    expect(limits.warnings()).to.have.length(1)
    limits.forget()
    expect(limits.warnings()).to.deep.equal([])
  })
})
