/** The lines that one cluster's Envoys cause: bounded, and the rest counted. */
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {Log} from '../../../src/server/log.js'
import {openMinuteBudget} from '../../../src/server/minute-budget.js'
import {LINES_PER_MINUTE, openClusterLog} from '../../../src/server/proxies/cluster-log.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]

describe("the log of one cluster's Envoys", () => {
  const lines: string[] = []
  const write =
    (level: string) =>
    (message: string): void => {
      lines.push(`${level} ${message}`)
    }
  const log: Log = {debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error')}
  const logOf = openClusterLog(log)

  it('has a bounded number of lines of each level, and takes none from other clusters', () => {
    for (let count = 0; count < 1000; count += 1) logOf(paris).warn('NACK')
    expect(lines).to.have.length(LINES_PER_MINUTE)
    logOf(paris).info('open')
    logOf(rome).warn('NACK')
    logOf(undefined).warn('refused')
    logOf(paris).debug('acknowledged')
    expect(lines.slice(LINES_PER_MINUTE)).to.deep.equal(['info open', 'warn NACK', 'warn refused', 'debug acknowledged'])
  })
})

describe('a budget for each minute', () => {
  const original = globalThis.setTimeout
  afterEach(() => {
    globalThis.setTimeout = original
  })

  it('begins again when the minute is over, and reports what exceeded it', () => {
    let end: () => void = () => undefined
    globalThis.setTimeout = ((act: () => void) => {
      end = act
      return {unref: () => undefined}
    }) as unknown as typeof setTimeout
    const excesses: [string, number][] = []
    const budget = openMinuteBudget(2, (key, excess) => excesses.push([key, excess]))
    const take = (): boolean => budget.take('a')
    expect([take(), take(), take(), take()]).to.deep.equal([true, true, false, false])
    end()
    expect(excesses).to.deep.equal([['a', 2]])
    expect(take()).to.equal(true)
    end()
    expect(excesses).to.have.length(1)
  })
})
