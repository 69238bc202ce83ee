/** A directory store in a temporary folder, with a fleet in it, and its files as a person finds them. */
import {mkdtemp, readFile, readdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import type {DirectoryTimes} from '../../../src/lib/store/directory/times.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import type {StateStore} from '../../../src/lib/store/store.js'
import {testFleet, testDependencies} from '../../helpers/dependencies.js'
import {type Recorder, record} from '../recorder.js'
import {seed} from './seed.js'

export interface Folder {
  readonly directory: string
  readonly store: StateStore
  open(times?: Partial<DirectoryTimes>): StateStore
  file(name: string): string
  read(name: string): Promise<string>
  write(name: string, text: string | Uint8Array): Promise<void>
  /** Names in the directory, in order. */
  names(): Promise<readonly string[]>
  watching(store?: StateStore): Promise<Recorder>
}

export const quickTimes: Partial<DirectoryTimes> = {quietMs: 40, retryMs: 20}

/** The fleet that every case finds there, of the clusters paris and lyon. */
export const fleet = testFleet(testDependencies(), ['paris', 'lyon'])

/** Creates the folder before each case of its `describe`, and removes it after. */
export function folderOf(held: Fleet = fleet): Folder {
  const watches: Recorder[] = []
  let root = ''
  const folder: {-readonly [K in keyof Folder]: Folder[K]} = {
    directory: '',
    store: undefined as unknown as StateStore,
    open: (times: Partial<DirectoryTimes> = quickTimes) => openDirectory({directory: folder.directory, create: true, times}),
    file: (name: string) => path.join(folder.directory, name),
    read: async (name: string) => readFile(folder.file(name), 'utf8'),
    write: async (name: string, text: string | Uint8Array) => writeFile(folder.file(name), text),
    names: async () => (await readdir(folder.directory)).sort(),
    async watching(store: StateStore = folder.store): Promise<Recorder> {
      const watch = await record(store)
      watches.push(watch)
      return watch
    },
  }
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'atlas-store-'))
    folder.directory = path.join(root, 'store')
    await seed(folder.directory, held)
    folder.store = folder.open()
  })
  afterEach(async () => {
    for (const watch of watches.splice(0)) watch.stop()
    await rm(root, {recursive: true, force: true})
  })
  return folder
}
