/** `--help` of every command, as it looks on a terminal of 80 columns. */
import {readFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasBin, forAll} from '../helpers/atlas.js'

const commands = [
  ...['add', 'list', 'remove', 'restore', 'revoke', 'show', 'values'].map(name => ['cluster', name]),
  ...['demo', 'init', 'rotate', 'serve', 'status'].map(name => [name]),
] as const

describe('commands: --help', function () {
  this.timeout(120_000)
  const columns = process.env['OCLIF_COLUMNS']
  before(() => {
    // As bin/run.js sets it on a terminal of 80.
    process.env['OCLIF_COLUMNS'] = '78'
  })
  after(() => {
    if (columns === undefined) delete process.env['OCLIF_COLUMNS']
    else process.env['OCLIF_COLUMNS'] = columns
  })

  it('explains each flag in words that need no text before them', async () => {
    const manifest = JSON.parse(await readFile(path.join(path.dirname(atlasBin), '..', 'oclif.manifest.json'), 'utf8')) as {
      commands: Record<string, {flags: Record<string, {description?: string}>}>
    }
    const explained = Object.values(manifest.commands).flatMap(({flags}) => Object.entries(flags))
    expect(explained.length).to.be.greaterThan(100)
    for (const [flag, {description = ''}] of explained) expect(description, `--${flag}`).not.to.match(/^(of|and|or|than|which|that|too)\b/)
  })

  it('of all commands fits 80 columns', async () => {
    const {code, stdout} = await atlas('--help')
    expect(code).to.equal(0)
    for (const line of stdout.split('\n')) expect(line.trimEnd().length, line).to.be.at.most(80)
  })

  it('of one fits 80 columns, and its usage is a line for each form of the command, without a gap', () =>
    forAll(commands, async command => {
      const {code, stdout} = await atlas(...command, '--help')
      expect(code, command.join(' ')).to.equal(0)
      const lines = stdout.split('\n')
      for (const line of lines) {
        expect(line.trimEnd().length, line).to.be.at.most(80)
        expect(line, 'a word that is broken').not.to.match(/^ +,|[a-z]\|[a-z]+$/)
      }

      const usage = lines.slice(lines.indexOf('USAGE') + 1, lines.indexOf('', lines.indexOf('USAGE')))
      expect(usage.length, usage.join('\n')).to.equal(command[0] === 'rotate' ? 3 : 1)
      for (const line of usage) {
        expect(line).to.match(new RegExp(`^ {2}\\$ atlas ${command.join(' ')} .*\\[FLAGS\\]$`))
        expect(line).not.to.match(/\|\s*\||\(\s*\)|\[\s*\]/)
      }

      const named = lines.indexOf('ARGUMENTS')
      const [, argument] = /^ {2}\[?([A-Z]+)/.exec(named < 0 ? '' : (lines[named + 1] ?? '')) ?? []
      if (argument !== undefined) expect(usage.join(' ')).to.match(new RegExp(` \\[?${argument}`))
    }))

  it('that is piped is as wide as COLUMNS says, if that is a width', async () => {
    const [told, columns] = [process.env['COLUMNS'], process.env['OCLIF_COLUMNS']]
    const widthOf = async (value: string): Promise<number> => {
      process.env['COLUMNS'] = value
      const {stdout} = await atlas('init', '--help')
      return Math.max(...stdout.split('\n').map(line => line.length))
    }
    delete process.env['OCLIF_COLUMNS']
    try {
      expect(await widthOf('80')).to.be.within(70, 80)
      expect(await widthOf('100')).to.be.within(90, 100)
      for (const value of ['', '0', '7', '-80', 'wide', '99999']) expect(await widthOf(value), value).to.be.within(110, 122)
    } finally {
      process.env['OCLIF_COLUMNS'] = columns
      if (told === undefined) delete process.env['COLUMNS']
      else process.env['COLUMNS'] = told
    }
  })
})
