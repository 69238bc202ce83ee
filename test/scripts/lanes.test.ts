/** A lane tells the truth: what fails, hangs, warns or does not run at all is never counted as passed. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import {lanes} from '../../scripts/lanes/lanes.mjs'
import {runLane} from '../../scripts/lanes/run.mjs'

describe('a lane', function () {
  this.timeout(20_000)
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-lanes-'))
    process.env['ATLAS_TEST_GRACE_MS'] = '300'
  })
  afterEach(() => {
    rmSync(folder, {recursive: true})
    delete process.env['ATLAS_TEST_GRACE_MS']
  })

  async function outcomeOf(code: string) {
    const file = join(folder, 'a.test.ts')
    writeFileSync(file, code)
    const lane = {name: 'sample', files: [file], ignore: [], programs: [], platforms: undefined, testSeconds: 2, laneMinutes: 1}
    return runLane(lane, {programs: {}, stdio: 'ignore'})
  }

  it('counts what passed and names what failed', async () => {
    const {passed, failed, leftOut, seconds} = await outcomeOf(
      `it('one', () => {}); it('two', () => {}); it('three', () => { throw new Error('no') })`,
    )
    expect({passed, failed, leftOut}).to.deep.equal({passed: 2, failed: ['three'], leftOut: []})
    expect(seconds).to.be.greaterThan(0)
  })

  it('names what left itself out', async () => {
    const {passed, failed, leftOut} = await outcomeOf(`it('one', () => {}); it('two', function () { this.skip() })`)
    expect({passed, failed, leftOut}).to.deep.equal({passed: 1, failed: [], leftOut: ['two']})
  })

  it('fails when there is no test in it', async () => {
    expect((await outcomeOf('export {}')).failed).to.deep.equal(['lane sample has no test'])
  })

  it('fails when a file does not load', async () => {
    expect((await outcomeOf(`throw new Error('no')`)).failed).to.deep.equal(['lane sample broke off before its end (code 1)'])
  })

  it('fails when the process warns', async () => {
    const {failed} = await outcomeOf(`it('warns', done => { process.emitWarning('too many of something'); setTimeout(done, 20) })`)
    expect(failed).to.have.length(1)
    expect(failed[0]).to.include('after all')
  })

  it('fails when a promise is rejected that nobody waits for', async () => {
    const {failed} = await outcomeOf(`it('forgets', done => { Promise.reject(new Error('lost')); setTimeout(done, 50) })`)
    expect(failed).to.have.length(1)
  })

  it('fails when something is left open', async () => {
    const {passed, failed} = await outcomeOf(`it('leaves a timer', () => { setInterval(() => {}, 1000) })`)
    expect({passed, failed}).to.deep.equal({passed: 1, failed: ['lane sample ended with code 1 though no test failed']})
  })

  it('fails on it.only', async () => {
    expect((await outcomeOf(`it.only('one', () => {}); it('two', () => {})`)).failed).to.have.length(1)
  })
})

describe('the lanes', () => {
  it('share no file, and every test file is in one', () => {
    const suffixes = lanes.filter(({name}) => name !== 'unit').map(({name, files}) => [`test/**/*.${name}.test.ts`, ...files])
    for (const [wanted, ...files] of suffixes) expect(files).to.deep.equal([wanted])
    expect(lanes.find(({name}) => name === 'unit')?.ignore).to.deep.equal(['test/**/*.{envoy,kubernetes,real,long}.test.ts'])
  })
})
