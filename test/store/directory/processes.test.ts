import {writeFile} from 'node:fs/promises'
import {expect} from 'chai'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {randomSource} from '../../helpers/random.js'
import {sleep} from '../recorder.js'
import {expectWhole, killedRound} from './crash.js'
import {folderOf} from './folder.js'
import type {Worker} from '../../helpers/worker.js'
import {work} from './work.js'
import {serverAt, unmoved} from '../../helpers/server.js'

const now = (): string => new Date().toISOString()

describe('store/directory: processes', function () {
  this.timeout(180_000)
  const folder = folderOf(testFleet(testDependencies(now()), []))
  const workers: Worker[] = []
  const started = (...args: string[]): Worker => {
    const worker = work(...args)
    workers.push(worker)
    return worker
  }

  afterEach(async () => {
    await Promise.all(workers.splice(0).map(async worker => worker.kill()))
  })

  it('two at once add 50 clusters: one key each, none lost', async () => {
    const names = Array.from({length: 50}, (_, index) => `c-${index}`)
    const [one, two] = [started('add', folder.directory, ...names.slice(0, 28)), started('add', folder.directory, ...names.slice(22))]
    expect(await Promise.all([one.ended, two.ended]), one.errors + two.errors).to.deep.equal([0, 0])
    const after = await folder.open().load()
    expectWhole(after)
    expect([...after.registrations.keys()].sort()).to.deep.equal([...names].sort())
    // A key that was written over would have left its certificate on record.
    for (const [owner, {credentials}] of after.records) expect(credentials, owner).to.have.length(1)
    for (const name of names) expect(after.endpoints?.text).to.contain(`${name}-thanos-sidecar0`)
  })

  const random = randomSource('when a process is killed')

  it('one that is killed in a commit leaves a legal store, which the next completes', async () => {
    for (const round of [1, 2]) await killedRound(folder, round, random() * 300)
  })

  it('a server holds the store for its life; a second one gets its pid and address, and may hold the store when the first was killed', async () => {
    const first = started('serve', folder.directory, 'http://127.0.0.1:6309')
    await first.line(line => line === 'holds')
    const second = started('serve', folder.directory, 'http://127.0.0.1:7000')
    const refused = await second.line(line => line !== '')
    expect(refused).to.contain(`process ${first.pid}`).and.to.contain('http://127.0.0.1:6309')
    expect(await folder.store.holder()).to.deep.equal({admin: 'http://127.0.0.1:6309'})
    await first.kill()
    expect(await folder.store.holder()).to.equal(undefined)
    const third = started('serve', folder.directory, 'http://127.0.0.1:7000')
    expect(await third.line(line => line !== '')).to.equal('holds')
    expect(await folder.store.holder()).to.deep.equal({admin: 'http://127.0.0.1:7000'})
  })

  it('of several that take a lock over from one that was killed, one at a time has it', async () => {
    const file = folder.file('.some.lock')
    const victim = started('lock', file, '100000')
    await victim.line(line => line === 'begins')
    const takers = [1, 2, 3].map(() => started('lock', file, '60'))
    await Promise.all(takers.map(async taker => taker.line(line => line === 'begins')))
    await sleep(50 + random() * 50)
    await victim.kill()
    expect(await Promise.all(takers.map(async taker => taker.ended))).to.deep.equal([0, 0, 0])
    expect(takers.flatMap(taker => taker.said).filter(line => line.startsWith('not alone'))).to.deep.equal([])
  })

  for (const [what, text] of [
    ['empty', ''],
    ['of an earlier life of its pid', JSON.stringify({pid: process.pid, start: '1', token: '0123456789abcdef'})],
    ['of a process that is gone', JSON.stringify({pid: 2 ** 22 - 3, start: '1', token: '0123456789abcdef'})],
    ['of another program', 'locked by hand'],
  ] as const) {
    it(`a lock file that is ${what} locks no process out`, async () => {
      await writeFile(folder.file('.commit.lock'), text)
      await writeFile(folder.file('.serve.lock'), text)
      await folder.store.commit(await folder.store.load(), [{kind: 'endpoints', value: {text: 'endpoints: []\n# new\n'}}])
      expect((await folder.open().load()).endpoints?.text).to.contain('new')
      await (await folder.store.hold(serverAt('x'), unmoved)).release()
    })
  }
})
