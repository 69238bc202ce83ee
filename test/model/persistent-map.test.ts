import {expect} from 'chai'
import fc from 'fast-check'
import {PersistentMap, differingKeys} from '../../src/lib/model/persistent-map.js'

const edits = fc.array(fc.tuple(fc.nat(30).map(String), fc.option(fc.nat(3), {nil: undefined})), {maxLength: 8})

describe('model/persistent-map', () => {
  it('each version has the entries of a Map with the same edits, and later versions leave it as it was', () => {
    fc.assert(
      fc.property(fc.array(edits, {maxLength: 30}), steps => {
        const expected = new Map<string, number>()
        let map = PersistentMap.of<string, number>()
        const versions: [PersistentMap<string, number>, Map<string, number>][] = []
        for (const step of steps) {
          map = map.with(step)
          for (const [key, value] of step)
            if (value === undefined) expected.delete(key)
            else expected.set(key, value)
          versions.push([map, new Map(expected)])
        }

        for (const [version, same] of versions) {
          expect(new Map(version)).to.deep.equal(same)
          expect(version.size).to.equal(same.size)
          for (let key = 0; key <= 30; key += 1) {
            expect(version.get(String(key))).to.equal(same.get(String(key)))
            expect(version.has(String(key))).to.equal(same.has(String(key)))
          }
        }
      }),
    )
  })

  it('finds the keys that differ between any two versions, and between maps of other origins', () => {
    fc.assert(
      fc.property(fc.array(edits, {maxLength: 30}), edits, (steps, other) => {
        const versions = [PersistentMap.of<string, number>()]
        for (const step of steps) versions.push((versions.at(-1) as PersistentMap<string, number>).with(step))
        const foreign = PersistentMap.of<string, number>().with(other)
        const last = versions.at(-1) as PersistentMap<string, number>
        for (const map of [...versions, foreign, new Map(foreign)]) {
          const wanted = Array.from({length: 31}, (_, key) => String(key)).filter(key => map.get(key) !== last.get(key))
          expect([...differingKeys(map, last)].sort()).to.deep.equal(wanted.sort())
        }
      }),
    )
  })

  it('is the same object after edits that change nothing', () => {
    const map = PersistentMap.of([['a', 1]])
    expect(
      map.with([
        ['a', 1],
        ['b', undefined],
      ]),
    ).to.equal(map)
    expect(PersistentMap.of(map)).to.equal(map)
  })

  it('compares two versions by what differs, however large they are', () => {
    const large = PersistentMap.of(Array.from({length: 10_000}, (_, key): [number, number] => [key, key]))
    const later = large.with([
      [7, 0],
      [10_001, 1],
      [9, undefined],
    ])
    expect([...(large.keysApart(later) ?? [])]).to.have.members([7, 10_001, 9])
    expect(differingKeys(large, later)).to.have.members([7, 10_001, 9])
  })

  it('compares versions on both sides of a merge by what differs', () => {
    const large = PersistentMap.of(Array.from({length: 10_000}, (_, key): [number, number] => [key, key]))
    const versions = [large]
    for (let key = 0; key < 300; key += 1) versions.push((versions.at(-1) ?? large).with([[key, -1]]))
    for (const [index, map] of versions.slice(0, -1).entries()) {
      const next = versions[index + 1] ?? large
      expect(map.keysApart(next)?.size, 'not all').to.be.below(300)
      expect(differingKeys(map, next)).to.deep.equal([index])
    }
  })

  it('keeps the overlay far smaller than the base, however many changes come', () => {
    const first = PersistentMap.of(Array.from({length: 10_000}, (_, key): [number, number] => [key, key]))
    let map = first
    for (let key = 0; key < 1000; key += 1) map = map.with([[key, -1]])
    expect(map.keysApart(first), 'another base').to.equal(undefined)
    expect([...map.values()].filter(value => value === -1)).to.have.length(1000)
  })

  it('is iterated in the order in which a Map is', () => {
    const map = PersistentMap.of([
      ['b', 1],
      ['a', 2],
    ]).with([
      ['c', 3],
      ['b', 4],
    ])
    expect([...map]).to.deep.equal([
      ['b', 4],
      ['a', 2],
      ['c', 3],
    ])
    expect([...map.keys()]).to.deep.equal(['b', 'a', 'c'])
    expect([...map.values()]).to.deep.equal([4, 2, 3])
    const seen: string[] = []
    map.forEach((value, key) => seen.push(`${key}${String(value)}`))
    expect(seen).to.deep.equal(['b4', 'a2', 'c3'])
  })
})
