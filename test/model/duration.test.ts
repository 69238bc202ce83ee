import {expect} from 'chai'
import {parseDuration, renderAge, renderDuration, renderTime} from '../../src/lib/model/duration.js'
import {thrownBy} from '../helpers/thrown.js'

describe('model/duration', () => {
  it('parseDuration() gives seconds', () => {
    const cases: [string, number][] = [
      ['30d', 2_592_000],
      ['12h', 43_200],
      ['5m', 300],
      ['90s', 90],
      ['200ms', 0.2],
      ['10y', 315_360_000],
    ]
    for (const [text, seconds] of cases) {
      expect(parseDuration(text), text).to.equal(seconds)
      expect(parseDuration(renderDuration(seconds)), text).to.equal(seconds)
    }
  })

  for (const text of ['', '1', 's', '1.5h', '-1s', '0s', '1 s', '1w', '101y', '1h30m']) {
    it(`parseDuration() refuses ${JSON.stringify(text)}`, () => {
      expect(thrownBy(() => parseDuration(text)).message).to.contain('such as 30d')
    })
  }

  it('renderTime() has the zone', () => {
    expect(renderTime('2026-12-01T05:06:07.890Z')).to.equal('2026-12-01T05:06Z')
    expect(renderTime(new Date('2026-12-01T05:06:07+02:00'))).to.equal('2026-12-01T03:06Z')
  })

  it('renderAge() names the two largest units', () => {
    expect(renderAge(0.4)).to.equal('now')
    expect(renderAge(59)).to.equal('59s')
    expect(renderAge(3600)).to.equal('1h')
    expect(renderAge(90_061)).to.equal('1d 1h')
  })
})
