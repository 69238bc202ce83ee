import {mkdtemp, readFile, rename, rm, stat, unlink} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {parseManifest} from '../../src/lib/manifest/manifest.js'
import {parseYaml, renderYaml} from '../../src/lib/manifest/yaml.js'
import {replace} from '../../src/lib/store/directory/write.js'
import {openDirectory} from '../../src/lib/store/open.js'
import type {Place} from '../contracts/place.js'
import {faultsContract} from '../contracts/store-faults.contract.js'
import {watchContract} from '../contracts/store-watch.contract.js'
import {storeContract} from '../contracts/store.contract.js'
import {seed} from './directory/seed.js'

const create = async (): Promise<Place> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-store-'))
  const directory = path.join(folder, 'store')
  const fileOf = (key: string): string => path.join(directory, `${key.toLowerCase().replace('/', '-')}.yaml`)
  return {
    open: () => openDirectory({directory, create: true, times: {quietMs: 30, retryMs: 20, lockMs: 120_000}}),
    seed: async fleet => seed(directory, fleet),
    async get(key) {
      const text = await readFile(fileOf(key), 'utf8').catch(() => undefined)
      return text === undefined ? undefined : parseManifest(parseYaml(text))
    },
    put: async (key, manifest) => (manifest === undefined ? unlink(fileOf(key)) : replace(fileOf(key), renderYaml(manifest), 0o600)),
    damage: async key => replace(fileOf(key), 'apiVersion: v1\nkind: [\n', 0o600),
    lose: async () => rename(directory, `${directory}-lost`),
    restore: async () => rename(`${directory}-lost`, directory),
    async version(key) {
      const {ino, ctimeNs} = await stat(fileOf(key), {bigint: true})
      return `${ino}:${ctimeNs}`
    },
    close: async () => rm(folder, {recursive: true, force: true}),
  }
}

for (const contract of [storeContract, watchContract, faultsContract]) contract('directory', create)
