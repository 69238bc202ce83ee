/** Which files are read again: those of which a change is reported, and all of them where reports may be missing. */
import {appendFile, link, rename, unlink, writeFile} from 'node:fs/promises'
import {expect} from 'chai'
import type {Change} from '../../../src/lib/model/change.js'
import {type ClusterName, parseClusterName} from '../../../src/lib/model/names.js'
import {observe} from '../../../src/lib/store/directory/observe.js'
import {defaultDirectoryTimes} from '../../../src/lib/store/directory/times.js'
import {testCluster} from '../../helpers/fleet.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {type Recorder, until} from '../recorder.js'
import {folderOf, quickTimes} from './folder.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const moved: Change = {kind: 'registration', name: paris, value: testCluster('paris', {replicas: 2})}
const replicas = (watch: Recorder, name: ClusterName): number | undefined => watch.fleet.registrations.get(name)?.replicas

describe('store/directory: a watch reads', () => {
  const folder = folderOf()
  const withReplicas = async (name: string, count: number): Promise<string> =>
    (await folder.read(name)).replace(/(replicas: )["']?\d+["']?/, `$1"${count}"`)
  /** No event tells of what is written through a link in another directory. */
  const silently = async (name: string, count: number): Promise<void> => {
    const other = `${folder.directory}-link`
    await link(folder.file(name), other)
    await writeFile(other, await withReplicas(name, count))
  }

  it('the files that are reported, and the others with the next complete read', async () => {
    const watch = await folder.watching(folder.open({...quickTimes, pollMs: 4000}))
    await silently('service-paris.yaml', 3)
    await folder.write('service-lyon.yaml', await withReplicas('service-lyon.yaml', 4))
    await until(() => replicas(watch, lyon) === 4)
    expect(replicas(watch, paris)).to.equal(1)
    await until(() => replicas(watch, paris) === 3)
    expect(watch.changes.filter(({kind}) => kind === 'registration')).to.have.length(2)
  })

  it('all files after so many reports that some may be lost', async () => {
    let looks = 0
    const end = new AbortController()
    const observation = observe(folder.directory, {...defaultDirectoryTimes, ...quickTimes}, () => (looks += 1), end.signal)
    try {
      const changed = async (count: number): Promise<ReadonlySet<string> | undefined> => {
        const before = looks
        // The kernel joins events of one file that follow each other.
        for (let index = 0; index < count; index += 1) await appendFile(folder.file(`noise-${index % 2}.txt`), 'x')
        await folder.write('one.yaml', 'x')
        await until(() => looks > before)
        return observation.take()
      }

      expect(await changed(0), 'at the start').to.equal(undefined)
      observation.reset()
      expect(await changed(100)).to.deep.equal(new Set(['one.yaml']))
      expect(await changed(1500)).to.equal(undefined)
    } finally {
      end.abort()
    }
  })

  it('what a commit of its own process has come upon before', async () => {
    // The commit ends before the quiet time does.
    const store = folder.open({quietMs: 3000})
    const watch = await folder.watching(store)
    await unlink(folder.file('service-lyon.yaml'))
    await rename(folder.file('secret-lyon-envoy-ads.yaml'), folder.file('keys.yaml'))
    await store.commit(watch.fleet, [moved])
    expect(watch.fleet.registrations.has(lyon)).to.equal(true)
    await until(() => !watch.fleet.registrations.has(lyon))
    expect([replicas(watch, paris), watch.fleet.credentials.has(lyon), watch.fleet.faults.size]).to.deep.equal([2, true, 0])
  })
})

describe('store/directory: a commit finds, though not all files are read again,', () => {
  const folder = folderOf()

  it('its object in a further file', async () => {
    const base = await folder.store.load()
    await folder.write('paris-copy.yaml', await folder.read('service-paris.yaml'))
    const error = await rejectedBy(folder.store.commit(base, [moved]))
    expect(error.code).to.equal('conflict')
    expect(await folder.read('service-paris.yaml')).not.to.match(/replicas: ["']?2/)
  })

  it('its object under a new name', async () => {
    const base = await folder.store.load()
    await rename(folder.file('service-paris.yaml'), folder.file('new name.yaml'))
    await folder.store.commit(base, [moved])
    expect(await folder.read('new name.yaml')).to.match(/replicas: ["']2["']/)
    expect(await folder.names()).not.to.include('service-paris.yaml')
  })

  it('its object changed or gone', async () => {
    for (const change of [
      async () =>
        writeFile(folder.file('service-paris.yaml'), (await folder.read('service-paris.yaml')).replace('198.51.100.4', '198.51.100.5')),
      async () => unlink(folder.file('service-paris.yaml')),
    ]) {
      const base = await folder.store.load()
      await change()
      expect((await rejectedBy(folder.store.commit(base, [moved]))).code).to.equal('conflict')
    }
  })
})
