/** A lane never counts a test as passed that fails, hangs, warns or does not run. */
import {existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createRequire} from 'node:module'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import {type Lane, everydayLanes, lanes, processesOf} from '../../scripts/lanes/lanes.mjs'
import {orderOutput} from '../../scripts/lanes/output.mjs'
import {runLane} from '../../scripts/lanes/run.mjs'
import {root} from '../../scripts/setup/checkout.mjs'
import {waitFor} from '../../src/demo/lab/wait.js'

/** For files outside of the checkout. */
const fastCheck = createRequire(join(root, 'package.json')).resolve('fast-check')

describe('a lane', function () {
  this.timeout(60_000)
  let folder: string
  let over: AbortController
  let output: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-lanes-'))
    over = new AbortController()
    output = ''
    delete process.env['ATLAS_SEED']
  })
  afterEach(() => {
    // A test that is past its time limit has left its lane running.
    over.abort()
    rmSync(folder, {recursive: true})
  })

  async function outcomeOf(code: string, more: Partial<Lane> = {}) {
    const file = join(folder, 'a.test.ts')
    writeFileSync(file, code)
    const lane = {
      name: 'sample',
      files: [file],
      ignore: [],
      programs: [],
      platforms: undefined,
      testSeconds: 30,
      usualMinutes: 1,
      laneMinutes: 1,
      ...more,
    }
    return runLane(lane, {programs: {}, write: text => (output += String(text)), signal: over.signal})
  }

  it('counts passed tests and names failed ones', async () => {
    const {passed, failed, leftOut, seconds} = await outcomeOf(
      `it('one', () => {}); it('two', () => {}); it('three', () => { throw new Error('no') })`,
    )
    expect({passed, failed, leftOut}).to.deep.equal({passed: 2, failed: ['three'], leftOut: []})
    expect(seconds).to.be.greaterThan(0)
  })

  it('keeps the first lines of an error, cut, for the summary', async () => {
    const {reasons} = await outcomeOf(`it('one', () => { throw new Error('what\\n\\n' + 'why'.repeat(100) + '\\n3\\n4\\n5\\n6\\n7') })`)
    expect(reasons).to.deep.equal({one: ['what', 'why'.repeat(67).slice(0, 200), '3', '4', '5', '6']})
  })

  it('names tests that skip themselves', async () => {
    const {passed, failed, leftOut} = await outcomeOf(`it('one', () => {}); it('two', function () { this.skip() })`)
    expect({passed, failed, leftOut}).to.deep.equal({passed: 1, failed: [], leftOut: ['two']})
  })

  it('fails when there is no test in it', async () => {
    expect((await outcomeOf('export {}')).failed).to.deep.equal(['lane sample has no test'])
  })

  it('runs a suite in steps though another test has failed, and names the steps after the first one that fails', async () => {
    const steps = JSON.stringify(join(root, 'test/helpers/steps.ts'))
    const {passed, failed, leftOut} = await outcomeOf(`import {inSteps} from ${steps}
      const no = () => { throw new Error('no') }
      it('fails', no)
      describe('steps', () => { inSteps(); it('one', () => {}); it('two', no); it('three', () => {}) })`)
    expect({passed, failed, leftOut}).to.deep.equal({passed: 1, failed: ['fails', 'steps two'], leftOut: ['steps three']})
  })

  it('fails when a file does not load', async () => {
    expect((await outcomeOf(`throw new Error('no')`)).failed).to.deep.equal(['lane sample broke off before its end (code 1)'])
  })

  it('fails when the process warns', async () => {
    const {failed} = await outcomeOf(`it('warns', done => { process.emitWarning('too many of something'); setTimeout(done, 20) })`)
    expect(failed).to.have.length(1)
    expect(failed[0]).to.include('after all')
  })

  it('fails when a promise is rejected that no code awaits', async () => {
    const {failed} = await outcomeOf(`it('forgets', done => { Promise.reject(new Error('lost')); setTimeout(done, 50) })`)
    expect(failed).to.have.length(1)
  })

  it('fails when something is left open, and names it', async () => {
    process.env['ATLAS_TEST_GRACE_MS'] = '300'
    try {
      const {passed, failed} = await outcomeOf(`it('leaves a timer', () => { setInterval(() => {}, 1000) })`)
      expect({passed, failed}).to.deep.equal({passed: 1, failed: ['lane sample ended with code 1 though no test failed']})
      // On a loaded machine what loads TypeScript may still be open, too.
      expect(output).to.match(/The tests are over but the process does not end; still open: (\w+, )*Timeout(, \w+)*\n$/)
    } finally {
      delete process.env['ATLAS_TEST_GRACE_MS']
    }
  })

  it('is stopped at its time limit, and says so', async () => {
    const {failed} = await outcomeOf(`it('hangs', () => { for (;;); })`, {laneMinutes: 0.05})
    expect(failed).to.deep.equal(['lane sample was stopped at its limit of 0.05 min'])
  })

  it('ends with its signal, though a test in it hangs', async () => {
    const started = join(folder, 'started')
    const lane = outcomeOf(`import {writeFileSync} from 'node:fs'
      it('hangs', () => { writeFileSync(${JSON.stringify(started)}, ''); for (;;); })`).catch((error: unknown) => (error as Error).name)
    await waitFor('the test that hangs', async () => (existsSync(started) ? true : undefined), {signal: over.signal, timeoutMs: 50_000})
    over.abort()
    expect(await lane).to.equal('AbortError')
  })

  it('fails on it.only', async () => {
    expect((await outcomeOf(`it.only('one', () => {}); it('two', () => {})`)).failed).to.have.length(1)
  })

  const property = (body: string): string =>
    `import fc from ${JSON.stringify(fastCheck)}
    it('holds', () => fc.assert(fc.property(fc.integer({min: 1}), value => ${body}), {numRuns: 3}))`

  it('makes the same random choices in every run', async () => {
    const seen = join(folder, 'seen')
    const code = property(`{ process.getBuiltinModule('node:fs').appendFileSync(${JSON.stringify(seen)}, value + ' ') }`)
    expect((await outcomeOf(code)).passed + (await outcomeOf(code)).passed).to.equal(2)
    const values = readFileSync(seen, 'utf8').trimEnd().split(' ')
    expect([values.length, values.slice(3)]).to.deep.equal([6, values.slice(0, 3)])
  })

  it('with random runs, repeats with other seeds, and names the seed of a failure and the case to keep', async () => {
    const log = join(folder, 'log')
    const code = `import {appendFileSync} from 'node:fs'
    after(() => appendFileSync(${JSON.stringify(log)}, process.env.ATLAS_SEED + '\\n'))
    afterEach(function () { appendFileSync(${JSON.stringify(log)}, String(this.currentTest.err?.message) + '\\n') })
    ${property('value < 1')}`
    const {passed, failed} = await outcomeOf(code, {randomRuns: 2})
    const text = readFileSync(log, 'utf8')
    const seeds = [...text.matchAll(/^\d+$/gm)].map(([seed]) => seed)
    expect([passed, new Set(seeds).size]).to.deep.equal([0, 2])
    expect(failed).to.deep.equal(seeds.map(seed => `holds (ATLAS_SEED=${seed})`))
    for (const seed of seeds) expect(text).to.include(`examples: [[1]], // seed ${Number(seed) | 0}, path 0`)
  })
})

describe('the output of lanes that run at the same time', () => {
  it('is shown one lane after the other, and at once where it is a lane’s turn', () => {
    const shown: string[] = []
    const output = orderOutput(['unit', 'envoy', 'real'], text => shown.push(String(text)))
    output.write('envoy', 'e1')
    output.write('unit', 'u1')
    expect(shown).to.deep.equal(['u1'])
    output.write('real', 'r1')
    output.end('real')
    output.end('unit')
    expect(shown).to.deep.equal(['u1', 'e1'])
    output.write('envoy', 'e2')
    output.end('envoy')
    expect(shown).to.deep.equal(['u1', 'e1', 'e2', 'r1'])
  })
})

describe('the lanes', () => {
  const named = (name: string): Lane => lanes.find(lane => lane.name === name) ?? expect.fail(`no lane ${name}`)

  it('share files only with `random`, and every test file is in one', () => {
    for (const {name, files} of lanes.filter(lane => !['unit', 'random'].includes(lane.name)))
      expect(files).to.deep.equal([`test/**/*.${name}.test.ts`])
    expect(named('unit').ignore).to.deep.equal(['test/**/*.{envoy,kubernetes,real,long}.test.ts'])
  })

  it('run every file of a lane in exactly one process', () => {
    for (const lane of lanes) {
      const found = ({files, ignore}: Lane): readonly string[] => globSync(files, {cwd: root, exclude: ignore}).sort()
      const processes = processesOf(lane).map(found)
      expect(processes.flat().sort(), lane.name).to.deep.equal(found(lane))
      for (const files of processes) expect(files.length, lane.name).to.be.greaterThan(0)
    }
  })

  it('`random` holds every file with property tests, and is not run by `npm test`', () => {
    expect(named('random').files).to.include.members([
      'test/pki/pem.test.ts',
      'test/xds/session.model.test.ts',
      'test/store/batches.test.ts',
    ])
    expect(everydayLanes.map(({name}) => name)).to.deep.equal(['unit', 'envoy', 'kubernetes', 'real'])
  })
})
