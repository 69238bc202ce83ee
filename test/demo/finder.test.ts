import {expect} from 'chai'
import {mkdir, rm, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type FinderOptions, awaitFirst, firstSettled, showPrograms, warnMissing} from '../../src/demo/finder.js'
import {programs} from '../../src/demo/lab/catalogue.js'
import {openScreen} from '../../src/demo/screen.js'
import {inFolder} from '../helpers/atlas.js'

describe('demo/finder', () => {
  it('shows which programs are here, which are coming, and which are not', () =>
    inFolder(async folder => {
      const {finder, shown} = open(folder)
      await put(folder, 'alertmanager')
      await announce(folder, 'thanos', {state: 'building'})
      await showPrograms(['thanos', 'alertmanager', 'oauth2-proxy'], finder)
      expect(shown()).to.equal(
        `  found: Alertmanager
  being downloaded or built meanwhile: Thanos 0.42; their proofs come when they are there
  not found: oauth2-proxy; proofs that need them will be skipped
`,
      )
    }))

  it('takes the first program that is there, while another is being built', () =>
    inFolder(async folder => {
      const {finder} = open(folder)
      await announce(folder, 'prometheus-3', {state: 'building'})
      const found = await put(folder, 'alertmanager')
      expect(await awaitFirst(['prometheus-3', 'alertmanager'], finder)).to.deep.equal({
        name: 'alertmanager',
        state: {kind: 'found', path: found},
      })
      expect(await firstSettled(['prometheus-3'], finder)).to.equal(undefined)
    }))

  it('waits for a program that is being built, and names it', () =>
    inFolder(async folder => {
      const {finder, shown} = open(folder)
      await announce(folder, 'prometheus-3', {state: 'building', doing: 'compiling packages', done: 1, total: 2})
      const waiting = awaitFirst(['prometheus-3'], finder)
      while (!shown().includes('waiting for Prometheus 3: compiling packages, 1 of 2')) await new Promise(setImmediate)
      const found = await put(folder, 'prometheus-3')
      expect(await waiting).to.deep.equal({name: 'prometheus-3', state: {kind: 'found', path: found}})
    }))

  it('reports a program that is missing, with the way to get it', () =>
    inFolder(async folder => {
      const {finder, shown} = open(folder)
      await announce(folder, 'oauth2-proxy', {state: 'failed', message: 'no network'})
      const settled = await awaitFirst(['oauth2-proxy'], finder)
      expect(settled).to.deep.equal({name: 'oauth2-proxy', state: {kind: 'missing', why: 'no network'}})
      warnMissing('oauth2-proxy', 'no network', finder.screen)
      expect(shown()).to.contain('! no network; to get it: install oauth2-proxy')
      warnMissing('oauth2-proxy', 'no network.\nFix that.', finder.screen)
      expect(shown()).to.contain('! no network.\nFix that; to get it: install oauth2-proxy')
    }))
})

type Name = keyof typeof programs

function open(folder: string): {finder: FinderOptions; shown: () => string} {
  let text = ''
  const output = {write: (line: string) => (text += line)}
  const screen = openScreen({words: output, proofs: output, mayColour: false, now: () => 0})
  return {finder: {env: {ATLAS_CACHE: folder}, screen, signal: new AbortController().signal}, shown: () => text}
}

function home(folder: string, name: Name): string {
  return path.join(folder, 'programs', `${name}-${programs[name].version}`)
}

async function put(folder: string, name: Name): Promise<string> {
  const file = path.join(home(folder, name), name)
  await mkdir(path.dirname(file), {recursive: true})
  await writeFile(file, '', {mode: 0o755})
  await rm(`${home(folder, name)}.json`, {force: true})
  return file
}

async function announce(folder: string, name: Name, status: object): Promise<void> {
  await mkdir(path.join(folder, 'programs'), {recursive: true})
  await writeFile(`${home(folder, name)}.json`, JSON.stringify({pid: process.pid, updated: new Date().toISOString(), ...status}))
}
