import {execFile} from 'node:child_process'
import {open, rename, rm, symlink, unlink, writeFile} from 'node:fs/promises'
import {promisify} from 'node:util'
import {expect} from 'chai'
import type {Change} from '../../../src/lib/model/change.js'
import {type ClusterName, parseClusterName} from '../../../src/lib/model/names.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import {changesOf, plain} from '../../helpers/fleet-changes.js'
import {testCluster} from '../../helpers/fleet.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {type Recorder, sleep, until} from '../recorder.js'
import {folderOf, quickTimes} from './folder.js'
import {serverAt, unmoved} from '../../helpers/server.js'

const run = promisify(execFile)
const paris = parseClusterName('paris')
const SETTLED = 150
/** A quiet time that no pause between two steps of a writer reaches, milliseconds. */
const PATIENT = 2500
const elsewhere = (text: string, host: string): string => text.replaceAll('198.51.100.4', host)
const hostOf = (watch: Recorder, name: ClusterName = paris): string | undefined => watch.fleet.registrations.get(name)?.addresses[0]?.host
const removals = (watch: Recorder): readonly Change[] =>
  watch.changes.filter(change => change.value === undefined && change.kind !== 'fault')

describe('store/directory: a watch sees', () => {
  const folder = folderOf()

  it('a file that is replaced by another of its name', async () => {
    const watch = await folder.watching()
    await folder.write('service-paris.yaml.tmp', elsewhere(await folder.read('service-paris.yaml'), '198.51.100.5'))
    await rename(folder.file('service-paris.yaml.tmp'), folder.file('service-paris.yaml'))
    await until(() => watch.changes.length > 0)
    await sleep(SETTLED)
    expect([hostOf(watch), watch.changes.length]).to.deep.equal(['198.51.100.5', 1])
  })

  it('a file that is saved as vim saves it', async () => {
    const watch = await folder.watching(folder.open({...quickTimes, quietMs: PATIENT, patienceMs: 60_000}))
    const text = elsewhere(await folder.read('service-paris.yaml'), '198.51.100.5')
    await folder.write('.service-paris.yaml.swp', 'swap')
    await folder.write('4913', '')
    await unlink(folder.file('4913'))
    await rename(folder.file('service-paris.yaml'), folder.file('service-paris.yaml~'))
    await folder.write('service-paris.yaml', text)
    await unlink(folder.file('service-paris.yaml~'))
    await unlink(folder.file('.service-paris.yaml.swp'))
    await until(() => hostOf(watch) === '198.51.100.5')
    await sleep(SETTLED)
    expect(removals(watch)).to.deep.equal([])
    expect(watch.changes.filter(({kind}) => kind === 'registration')).to.have.length(1)
  })

  it('a file that is cut and written slowly, when it is done', async () => {
    const watch = await folder.watching(folder.open({...quickTimes, quietMs: PATIENT, patienceMs: 60_000}))
    const text = elsewhere(await folder.read('service-paris.yaml'), '198.51.100.5')
    const handle = await open(folder.file('service-paris.yaml'), 'w')
    for (let from = 0; from < text.length; from += 100) {
      await handle.write(text.slice(from, from + 100))
      await sleep(15)
    }

    await handle.close()
    await until(() => hostOf(watch) === '198.51.100.5')
    await sleep(SETTLED)
    expect(removals(watch)).to.deep.equal([])
    expect(watch.changes.filter(({kind}) => kind === 'registration')).to.have.length(1)
  })

  it('a file whose writer stopped half-way: a fault, then what it became', async () => {
    const watch = await folder.watching()
    const text = await folder.read('service-paris.yaml')
    await folder.write('service-paris.yaml', text.slice(0, text.indexOf('annotations') - 10))
    await until(() => watch.fleet.faults.size > 0)
    await folder.write('service-paris.yaml', elsewhere(text, '198.51.100.5'))
    await until(() => hostOf(watch) === '198.51.100.5')
    expect(removals(watch)).to.deep.equal([])
    expect(watch.fleet.faults.size).to.equal(0)
  })

  it('a file that is renamed within the directory: nothing has changed', async () => {
    const watch = await folder.watching()
    await rename(folder.file('service-paris.yaml'), folder.file('z.yaml'))
    await sleep(SETTLED)
    await folder.write('z.yaml', elsewhere(await folder.read('z.yaml'), '198.51.100.5'))
    await until(() => watch.changes.some(({kind}) => kind === 'registration'))
    expect(hostOf(watch)).to.equal('198.51.100.5')
    expect(removals(watch)).to.deep.equal([])
  })

  it('changes in a directory that is never quiet, after some time', async () => {
    const watch = await folder.watching(folder.open({...quickTimes, quietMs: 300, patienceMs: 500}))
    const text = await folder.read('service-paris.yaml')
    await writeFile(folder.file('.new'), elsewhere(text, '198.51.100.5'))
    await rename(folder.file('.new'), folder.file('service-paris.yaml'))
    const deadline = Date.now() + 15_000
    while (hostOf(watch) !== '198.51.100.5' && Date.now() < deadline) {
      await folder.write('noise.yaml', '')
      await sleep(10)
    }

    expect(hostOf(watch)).to.equal('198.51.100.5')
  })

  it('own commits at once, before the quiet time, and not again after it', async () => {
    const store = folder.open({quietMs: 100})
    const watch = await folder.watching(store)
    await store.commit(watch.fleet, [{kind: 'registration', name: paris, value: testCluster('paris', {replicas: 2})}])
    expect(watch.changes).to.have.length(1)
    await sleep(300)
    expect(watch.changes).to.have.length(1)
  })
})

describe('store/directory: a watch of a directory that', () => {
  const folder = folderOf()

  it('is removed and created again fails, changes nothing, recovers, and sees what comes then', async () => {
    // Its files are removed one by one, and are not read meanwhile.
    const store = folder.open({...quickTimes, quietMs: PATIENT, patienceMs: 60_000})
    const watch = await folder.watching(store)
    const before = plain(watch.fleet)
    await run('cp', ['-a', folder.directory, `${folder.directory}-copy`])
    await rm(folder.directory, {recursive: true})
    await until(() => watch.failures.length > 0)
    expect((await rejectedBy(store.load())).code).to.equal('unreachable')
    await sleep(PATIENT + SETTLED)
    expect([watch.failures.length, watch.changes.length]).to.deep.equal([1, 0])
    await rename(`${folder.directory}-copy`, folder.directory)
    await until(() => watch.recoveries > 0)
    expect(plain(watch.fleet)).to.deep.equal(before)
    await sleep(100)
    await folder.write('service-paris.yaml', elsewhere(await folder.read('service-paris.yaml'), '198.51.100.5'))
    await until(() => hostOf(watch) === '198.51.100.5')
    expect([watch.failures.length, watch.recoveries]).to.deep.equal([1, 1])
  })

  it('is emptied is lost, and not a fleet without clusters', async () => {
    const watch = await folder.watching()
    const before = plain(watch.fleet)
    // The settings go first and come last: whatever is read between two of these moves is a directory without them.
    await run('sh', ['-c', 'mkdir ../kept && mv configmap-atlas-fleet.yaml .. && mv *.yaml ../kept'], {cwd: folder.directory})
    await until(() => watch.failures.length > 0)
    expect(watch.failures[0]?.message).to.contain('atlas-fleet')
    expect(plain(watch.fleet)).to.deep.equal(before)
    await run('sh', ['-c', 'mv ../kept/*.yaml . && mv ../configmap-atlas-fleet.yaml .'], {cwd: folder.directory})
    await until(() => watch.recoveries > 0)
    expect(plain(watch.fleet)).to.deep.equal(before)
  })

  it('reports no change is read all the same, now and then', async () => {
    const [one, two, link] = [`${folder.directory}-1`, `${folder.directory}-2`, folder.directory]
    await rename(folder.directory, one)
    await run('cp', ['-a', one, two])
    await symlink(one, link)
    const watch = await folder.watching(openDirectory({directory: link, times: {...quickTimes, pollMs: 50}}))
    await writeFile(`${two}/service-paris.yaml`, elsewhere(await folder.read('service-paris.yaml'), '198.51.100.5'))
    await symlink(two, `${link}-new`)
    await rename(`${link}-new`, link)
    await until(() => hostOf(watch) === '198.51.100.5')
    // The one that is watched is the new one from now on, without waiting for the next look.
    await sleep(100)
    await writeFile(
      `${two}/service-paris.yaml`,
      elsewhere(await folder.read('service-paris.yaml'), '198.51.100.5').replace('198.51.100.5', '198.51.100.6'),
    )
    await until(() => hostOf(watch) === '198.51.100.6')
    expect(watch.failures).to.deep.equal([])
  })

  it('is no directory, or does not exist, is an error', async () => {
    for (const [file, code] of [
      ['service-paris.yaml', 'unreachable'],
      ['nowhere', 'not-found'],
    ] as const) {
      const directory = folder.file(file)
      const error = await rejectedBy(openDirectory({directory}).load())
      expect(error.code).to.equal(code)
      expect(error.message).to.contain(directory)
      expect((await rejectedBy(openDirectory({directory}).hold(serverAt('x'), unmoved))).code).to.equal(code)
    }
  })
})

describe('store/directory: a watch of a git checkout', () => {
  const names = Array.from({length: 40}, (_, index) => `c-${index}`)
  const many = testFleet(testDependencies(), names)
  const folder = folderOf(many)

  it('sees another branch as so many changes, each once, and nothing removed in between', async () => {
    const git = async (...args: string[]): Promise<unknown> =>
      run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {cwd: folder.directory})
    await git('init', '-q', '-b', 'main')
    await git('add', '.')
    await git('commit', '-q', '-m', 'one')
    await git('checkout', '-q', '-b', 'moved')
    const changes = names.map((name): Change => {
      const cluster = testCluster(name, {replicas: 3})
      return {kind: 'registration', name: cluster.name, value: cluster}
    })
    await folder.store.commit(await folder.store.load(), changes.slice(0, 30))
    await unlink(folder.file('service-c-39.yaml'))
    await git('commit', '-q', '-a', '-m', 'two')
    await git('checkout', '-q', 'main')
    const watch = await folder.watching(folder.open({...quickTimes, quietMs: PATIENT, patienceMs: 60_000}))
    expect(plain(watch.fleet)).to.deep.equal(plain(many))
    await git('checkout', '-q', 'moved')
    await until(() => watch.changes.length >= 31)
    await sleep(SETTLED)
    expect(watch.changes).to.have.length(31)
    expect(removals(watch).map(change => change.kind === 'registration' && change.name)).to.deep.equal(['c-39'])
    await git('checkout', '-q', 'main')
    await until(() => watch.changes.length >= 62)
    await sleep(SETTLED)
    expect(plain(watch.fleet)).to.deep.equal(plain(many))
    expect(watch.changes).to.have.length(62)
    expect(changesOf(watch.fleet)).to.have.length(changesOf(many).length)
  })
})
