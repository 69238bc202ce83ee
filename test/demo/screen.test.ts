import {expect} from 'chai'
import {type Screen, openScreen} from '../../src/demo/screen.js'

interface Shown {
  readonly screen: Screen
  readonly words: string[]
  readonly proofs: string[]
  readonly clock: {now: number}
}

describe('demo/screen', () => {
  it('writes progress and proofs to their streams, without colour outside a terminal', () => {
    const {screen, words, proofs} = show({isTTY: false})
    screen.step('The server')
    screen.command('atlas serve')
    screen.detail('it runs')
    screen.warn('no Thanos')
    screen.proof({name: 'thanos-query', ok: true, saw: '3 series'})
    screen.proof({name: 'add-while-running', ok: false, saw: 'nothing'})
    expect(words.join('')).to.equal('● The server\n  $ atlas serve\n  it runs\n! no Thanos\n')
    expect(proofs.join('')).to.equal('✔ thanos-query: 3 series\n✘ add-while-running: nothing\n')
  })

  it('colours on a terminal, unless NO_COLOR is set', () => {
    const coloured = show({isTTY: true})
    coloured.screen.proof({name: 'a', ok: true, saw: 'b'})
    expect(coloured.proofs.join('')).to.contain('\u001B[32m✔')
    const plain = show({isTTY: true, mayColour: false})
    plain.screen.step('a')
    expect(plain.words.join('')).to.equal('● a\n')
  })

  it('replaces progress on a terminal, and clears it before the next line', () => {
    const {screen, words} = show({isTTY: true, mayColour: false})
    screen.progress('1 of 2')
    screen.progress('2 of 2')
    screen.detail('done')
    expect(words.join('')).to.equal('\r\u001B[K  1 of 2\r\u001B[K  2 of 2\r\u001B[K  done\n')
  })

  it('breaks lines at words on a terminal of 80 columns, and commands nowhere', () => {
    const columns = 80
    const {screen, words, proofs} = show({isTTY: true, mayColour: false, columns})
    const text = 'the observability Envoy asked each of the downstream Envoys for its certificate and '.repeat(3).trim()
    screen.step(text)
    screen.detail(`queries        ${text}`)
    screen.warn(text)
    screen.proof({name: 'envoy-path', ok: true, saw: text})
    for (const line of [...words, ...proofs].join('').split('\n')) expect(line.length, line).to.be.at.most(columns)
    expect(
      words
        .join('')
        .split(/\s+/)
        .filter(word => word === 'downstream'),
    ).to.have.length(9)
    expect(proofs.join('')).to.match(/^✔ envoy-path: the .*\n {2}\S/)
    words.length = 0
    screen.command(text)
    expect(words.join('')).to.equal(`  $ ${text}\n`)
  })

  it('prints progress now and then where lines can not be replaced', () => {
    const {screen, words, clock} = show({isTTY: false})
    screen.progress('1 of 3')
    clock.now = 14_000
    screen.progress('2 of 3')
    clock.now = 15_000
    screen.progress('3 of 3')
    expect(words.join('')).to.equal('  1 of 3\n  3 of 3\n')
  })
})

function show({isTTY, mayColour = true, columns = 200}: {isTTY: boolean; mayColour?: boolean; columns?: number}): Shown {
  const words: string[] = []
  const proofs: string[] = []
  const clock = {now: 0}
  const screen = openScreen({
    words: {isTTY, columns, write: text => words.push(text)},
    proofs: {isTTY, columns, write: text => proofs.push(text)},
    mayColour,
    now: () => clock.now,
  })
  return {screen, words, proofs, clock}
}
