/** The Node versions that bin/engines.js accepts. */
import {readFileSync} from 'node:fs'
import {expect} from 'chai'
import {fits} from '../../bin/engines.js'

const {engines} = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {engines: {node: string}}

describe('fits', () => {
  const cases: Array<[version: string, range: string, fits: boolean]> = [
    ['22.22.2', '^22.22.2', true],
    ['22.23.0', '^22.22.2', true],
    ['22.22.1', '^22.22.2', false],
    ['23.0.0', '^22.22.2', false],
    ['24.15.0', '^24.15', true],
    ['24.14.9', '^24.15', false],
    ['26.0.0', '>=26', true],
    ['27.1.0', '>=26', true],
    ['25.9.9', '>=26', false],
    ['v24.21.0', '^22 || ^24', true],
    ['26.0.0-nightly20260101', '>=26', false],
    ['', '>=1', false],
  ]
  for (const [version, range, wanted] of cases)
    it(`${wanted ? 'lets' : 'does not let'} ${version || 'an empty version'} into ${range}`, () => {
      expect(fits(version, range)).to.equal(wanted)
    })

  it('reads package.json, and accepts the Node of the tests', () => {
    expect(fits(process.versions.node, engines.node)).to.equal(true)
    expect(fits('18.20.8', engines.node)).to.equal(false)
  })

  it('refuses an unknown form instead of guessing', () => {
    expect(() => fits('24.0.0', '~24')).to.throw("got '~24'")
  })
})
