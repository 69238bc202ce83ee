import {expect} from 'chai'
import {chmod, mkdir, rm, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {programs} from '../../../src/demo/lab/catalogue.js'
import {type Pending, availability, awaitProgram, findProgram, renderPending} from '../../../src/demo/lab/programs.js'
import {inFolder} from '../../helpers/atlas.js'
import {rejectedBy} from '../../helpers/thrown.js'

const {thanos, envoy, prometheus} = programs
const version = 'thanos, version 0.42.5 (branch: HEAD)'

describe('demo/programs', () => {
  it('takes the program that the variable names, whatever its version', () =>
    inFolder(async folder => {
      const program = await fake(path.join(folder, 'my-thanos'), 'thanos, version 0.1')
      expect(await findProgram(thanos, {ATLAS_THANOS: program})).to.equal(program)
    }))

  it('refuses a variable that names no executable file', () =>
    inFolder(async folder => {
      const error = await rejectedBy(findProgram(thanos, {ATLAS_THANOS: path.join(folder, 'nothing')}))
      expect(error.message).to.contain('ATLAS_THANOS')
    }))

  it('takes a program from PATH when its version fits, and skips others', () =>
    inFolder(async folder => {
      await fake(path.join(folder, 'old', 'thanos'), 'thanos, version 0.30.0')
      const fitting = await fake(path.join(folder, 'new', 'thanos'), version)
      const PATH = [path.join(folder, 'none'), path.join(folder, 'old'), path.join(folder, 'new')].join(path.delimiter)
      expect(await findProgram(thanos, {PATH, ATLAS_CACHE: folder})).to.equal(fitting)
    }))

  it('takes a program from the cache', () =>
    inFolder(async folder => {
      const cached = await fake(path.join(folder, 'programs', 'thanos-0.42.5', 'thanos'), version)
      expect(await availability(thanos, {ATLAS_CACHE: folder})).to.deep.equal({kind: 'found', path: cached})
      expect(await findProgram(thanos, {XDG_CACHE_HOME: folder})).to.equal(undefined)
    }))

  it('reports a program as missing when no process downloads it', () =>
    inFolder(async folder => {
      const state = await availability(thanos, {ATLAS_CACHE: folder})
      expect(state).to.deep.equal({kind: 'missing', why: 'Thanos 0.42 is not on this machine'})
    }))

  it('waits for a program that is being built, and finds it', () =>
    inFolder(async folder => {
      const status = await announce(folder, {state: 'building', done: 1, total: 4})
      const seen: Pending[] = []
      const found = awaitProgram(
        thanos,
        {ATLAS_CACHE: folder},
        {signal: new AbortController().signal, onProgress: value => seen.push(value)},
      )
      // Its first look finds no program.
      while (seen.length === 0) await new Promise(setImmediate)
      await fake(path.join(folder, 'programs', 'thanos-0.42.5', 'thanos'), version)
      await rm(status)
      expect((await found).kind).to.equal('found')
      expect(seen[0]?.total).to.equal(4)
    }))

  it('does not wait for a dead builder, nor for a status that was written long ago', () =>
    inFolder(async folder => {
      await announce(folder, {state: 'building', pid: 2 ** 22 + 1})
      expect((await availability(thanos, {ATLAS_CACHE: folder})).kind).to.equal('missing')
      await announce(folder, {state: 'building', updated: new Date(Date.now() - 120_000).toISOString()})
      expect((await availability(thanos, {ATLAS_CACHE: folder})).kind).to.equal('missing')
      if (process.platform !== 'linux') return
      await announce(folder, {state: 'building', startTicks: '1'})
      expect((await availability(thanos, {ATLAS_CACHE: folder})).kind).to.equal('missing')
    }))

  it('reports why a download failed', () =>
    inFolder(async folder => {
      await announce(folder, {state: 'failed', message: 'no network'})
      expect(await availability(thanos, {ATLAS_CACHE: folder})).to.deep.equal({kind: 'missing', why: 'no network'})
    }))

  it('ignores a status that is not JSON', () =>
    inFolder(async folder => {
      await announce(folder, {})
      await writeFile(path.join(folder, 'programs', 'thanos-0.42.5.json'), '{"state": "buil')
      expect((await availability(thanos, {ATLAS_CACHE: folder})).kind).to.equal('missing')
    }))

  it('renders progress', () => {
    expect(renderPending({state: 'building', doing: 'compiling packages', done: 412, total: 1578, secondsLeft: 170})).to.equal(
      'compiling packages, 412 of 1578, about 3 min left',
    )
    expect(renderPending({state: 'waiting'})).to.equal('other programs come before it')
  })

  it('knows the versions that fit', () => {
    expect(envoy.fits('envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL')).to.equal(true)
    expect(envoy.fits('envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.39.3/Clean/RELEASE/BoringSSL')).to.equal(false)
    expect(prometheus.fits('prometheus, version 2.42.0+ds (branch: debian/sid)')).to.equal(true)
    expect(prometheus.fits('prometheus, version 3.0.1 (branch: HEAD)')).to.equal(true)
    expect(prometheus.fits('prometheus, version 2.41.0')).to.equal(false)
  })
})

async function fake(file: string, versionOutput: string): Promise<string> {
  await mkdir(path.dirname(file), {recursive: true})
  await writeFile(file, `#!/bin/sh\necho '${versionOutput}'\n`)
  await chmod(file, 0o755)
  return file
}

async function announce(cache: string, fields: object): Promise<string> {
  const file = path.join(cache, 'programs', 'thanos-0.42.5.json')
  await mkdir(path.dirname(file), {recursive: true})
  await writeFile(file, JSON.stringify({pid: process.pid, updated: new Date().toISOString(), ...fields}))
  return file
}
