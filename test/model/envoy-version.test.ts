/** Which versions of Envoy are too old, and that the documentation names the same. */
import {readFileSync} from 'node:fs'
import {expect} from 'chai'
import {neededInsteadOf, oldestEnvoys} from '../../src/lib/model/envoy-version.js'

describe('model/envoy-version', () => {
  for (const [version, needed] of [
    ['1.35.13', '1.36.10'],
    ['1.36.2', '1.36.10'],
    ['1.36.9', '1.36.10'],
    ['1.36.10', undefined],
    ['1.36.13', undefined],
    ['1.38.3', '1.38.4'],
    ['1.39.0', '1.39.1'],
    ['1.40.0', undefined],
    ['1.41.0', undefined],
    ['2.0.0', undefined],
    ['nonsense', undefined],
  ] as const)
    it(`${version}: ${needed === undefined ? 'new enough' : `${needed} is needed`}`, () => {
      expect(neededInsteadOf(version)).to.equal(needed)
    })

  it('the README names the oldest version of each minor version', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    for (const version of oldestEnvoys) expect(readme).to.include(version)
  })

  it("the charts' default Envoy is new enough", () => {
    for (const chart of ['atlas', 'envoy']) {
      const values = readFileSync(new URL(`../../charts/${chart}/values.yaml`, import.meta.url), 'utf8')
      const [, version = ''] = /tag: distroless-v(\S+)/.exec(values) ?? []
      expect(version).to.match(/^1\.\d+\.\d+$/)
      expect(neededInsteadOf(version), chart).to.equal(undefined)
    }
  })
})
