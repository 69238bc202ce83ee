/** package-lock.json: without addresses, and with the packages of other platforms. */
import {readFileSync} from 'node:fs'
import {expect} from 'chai'
import {completeLock, withoutHash} from '../../scripts/gate/lockfile.mjs'

const lockOf = (packages: Record<string, object>) => ({lockfileVersion: 3, packages: {'': {name: 'x'}, ...packages}})

describe('completeLock', () => {
  it('removes download addresses', () => {
    const {packages} = completeLock(
      lockOf({'node_modules/a': {version: '1.0.0', resolved: 'https://example.org/a.tgz', integrity: 'sha512-x'}}),
    )
    expect(packages['node_modules/a']).to.deep.equal({version: '1.0.0', integrity: 'sha512-x'})
  })

  it('adds an entry for an optional package of another platform', () => {
    const {packages} = completeLock(
      lockOf({'node_modules/a': {version: '1.0.0', dev: true, license: 'MIT', optionalDependencies: {'@a/a-darwin-arm64': '1.0.0'}}}),
    )
    expect(packages['node_modules/@a/a-darwin-arm64']).to.deep.equal({
      version: '1.0.0',
      cpu: ['arm64'],
      dev: true,
      license: 'MIT',
      optional: true,
      os: ['darwin'],
    })
  })

  it('finds an optional package where Node would: beside its owner, or below it', () => {
    const nested = {'node_modules/a/node_modules/b': {version: '1.0.0', optionalDependencies: {'b-linux-x64': '1.0.0'}}}
    const beside = {...nested, 'node_modules/a/node_modules/b-linux-x64': {version: '1.0.0'}}
    expect(Object.keys(completeLock(lockOf(beside)).packages)).to.deep.equal(['', ...Object.keys(beside)])
    expect(Object.keys(completeLock(lockOf(nested)).packages)).to.include('node_modules/b-linux-x64')
  })

  it('guesses no version and no platform', () => {
    const withOptional = (optionalDependencies: object) => () =>
      completeLock(lockOf({'node_modules/a': {version: '1.0.0', optionalDependencies}}))
    expect(withOptional({'a-darwin-arm64': '^1.0.0'})).to.throw('a-darwin-arm64@^1.0.0')
    expect(withOptional({fsevents: '2.3.3'})).to.throw('fsevents@2.3.3')
  })

  it('leaves an entry that it adds without a hash, which the gate does not accept', () => {
    const added = completeLock(
      lockOf({'node_modules/a': {version: '1.0.0', integrity: 'sha512-x', optionalDependencies: {'a-darwin-arm64': '1.0.0'}}}),
    )
    expect(withoutHash(added)).to.deep.equal(['node_modules/a-darwin-arm64'])
    expect(withoutHash(lockOf({'node_modules/b': {link: true}}))).to.deep.equal([])
  })

  it('has nothing to add to the one of this repository', () => {
    const ours = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {packages: Record<string, object>}
    expect(completeLock(ours)).to.deep.equal(ours)
    expect(withoutHash(ours)).to.deep.equal([])
  })
})
