import {expect} from 'chai'
import fc from 'fast-check'
import {
  emptyVersions,
  versionEntries,
  type HeldVersion,
  heldVersion,
  type VersionMap,
  onlyNames,
  rebase,
  setVersions,
  unknownVersion,
} from '../../src/lib/xds/versions.js'
import type {Resource, Resources} from '../../src/lib/xds/snapshot.js'

function resource(name: string, version: string): Resource {
  return {name, version, typeUrl: 't', body: new Uint8Array()}
}

function base(versions: Record<string, string>): Resources {
  return new Map(Object.entries(versions).map(([name, version]) => [name, resource(name, version)]))
}

function show(versions: VersionMap): Record<string, string> {
  return Object.fromEntries([...versionEntries(versions)].map(([name, held]): [string, string] => [name, held.version]).sort())
}

describe('xds/versions', () => {
  it('sets and removes versions', () => {
    const versions = setVersions(rebase(emptyVersions, base({})), [
      ['a', {version: '1'}],
      ['b', {version: '1'}],
    ])
    expect(
      show(
        setVersions(versions, [
          ['a', undefined],
          ['b', {version: '2'}],
        ]),
      ),
    ).to.deep.equal({b: '2'})
    expect(show(versions)).to.deep.equal({a: '1', b: '1'})
  })

  it('differs from the base in exactly what is left to send', () => {
    const has = setVersions(emptyVersions, [
      ['same', {version: '1'}],
      ['old', {version: '1'}],
      ['gone', {version: '1'}],
      ['doubt', unknownVersion],
    ])
    const versions = rebase(has, base({same: '1', old: '2', fresh: '1', doubt: '1'}))
    expect([...versions.differing.keys()].sort()).to.deep.equal(['doubt', 'fresh', 'gone', 'old'])
    expect(heldVersion(versions, 'fresh')).to.equal(undefined)
    expect(heldVersion(versions, 'same')?.version).to.equal('1')
  })

  it('treats a new object of equal version as equal', () => {
    const versions = rebase(rebase(emptyVersions, base({})), base({a: '1'}))
    const given = setVersions(versions, [['a', {version: '1'}]])
    expect(given.differing.size).to.equal(0)
    expect(rebase(given, base({a: '1'})).differing.size).to.equal(0)
  })

  it('keeps only the given names', () => {
    const versions = rebase(
      setVersions(emptyVersions, [
        ['a', {version: '1'}],
        ['b', {version: '1'}],
      ]),
      base({a: '1', b: '1'}),
    )
    expect(show(onlyNames(versions, ['b', 'c']))).to.deep.equal({b: '1'})
  })

  it('equals a plain map after any operations (property)', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd')
    const version = fc.constantFrom('1', '2', '3')
    const act = fc.oneof(
      fc.record({kind: fc.constant('give' as const), name, version}),
      fc.record({kind: fc.constant('take' as const), name}),
      fc.record({kind: fc.constant('base' as const), versions: fc.dictionary(name, version)}),
    )
    fc.assert(
      fc.property(fc.array(act), acts => {
        const plain = new Map<string, string>()
        let versions = emptyVersions
        for (const done of acts) {
          if (done.kind === 'base') versions = rebase(versions, base(done.versions))
          else {
            const held: HeldVersion | undefined = done.kind === 'give' ? {version: done.version} : undefined
            versions = setVersions(versions, [[done.name, held]])
            if (held === undefined) plain.delete(done.name)
            else plain.set(done.name, held.version)
          }

          expect(show(versions)).to.deep.equal(Object.fromEntries([...plain].sort()))
          for (const [key, held] of versions.differing) expect(versions.base.get(key)?.version).to.not.equal(held?.version)
        }
      }),
    )
  })
})
