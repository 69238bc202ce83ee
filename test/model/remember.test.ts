import {expect} from 'chai'
import {remember, rememberTexts} from '../../src/lib/model/remember.js'

describe('model/remember', () => {
  const counted = (): {built: () => number; build: (key: object, ...rest: readonly unknown[]) => object} => {
    let built = 0
    return {built: () => built, build: remember((...all: readonly [object, ...unknown[]]) => ({number: ++built, all}))}
  }

  it('returns the same object for the same value and equal arguments', () => {
    const {built, build} = counted()
    const key = {}
    expect(build(key, 'a', 1)).to.equal(build(key, 'a', 1))
    expect(built()).to.equal(1)
  })

  it('distinguishes values by identity, however equal, and compares arguments one by one', () => {
    const {build} = counted()
    const [key, twin] = [{a: 1}, {a: 1}]
    expect(build(key, 'a')).to.not.equal(build(twin, 'a'))
    expect(build(key, 'a', 1)).to.not.equal(build(key, 'a', 2))
    expect(build(key, undefined)).to.not.equal(build(key, 'a'))
  })

  it('keeps the newest eight of one value, since nodes choose some arguments', () => {
    const {built, build} = counted()
    const key = {}
    const first = build(key, 0)
    for (let port = 1; port <= 8; port++) build(key, port)
    expect(build(key, 8)).to.equal(build(key, 8))
    expect(built()).to.equal(9)
    expect(build(key, 0)).to.not.equal(first)
  })

  it('shares the values of equal texts, as many as a stack has, and keeps no error', () => {
    let built = 0
    const build = rememberTexts(text => {
      built += 1
      if (text === 'wrong') throw new Error('it is wrong')
      return {text}
    })
    const first = build('a')
    expect(build('a')).to.equal(first)
    expect(() => build('wrong')).to.throw('it is wrong')
    expect(() => build('wrong')).to.throw('it is wrong')
    expect(built).to.equal(3)
    for (let index = 0; index < 64; index += 1) build(String(index))
    expect(build('63')).to.equal(build('63'))
    expect(built).to.equal(67)
    expect(build('a')).to.not.equal(first)
  })
})
