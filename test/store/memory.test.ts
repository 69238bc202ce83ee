import {AtlasError} from '../../src/lib/model/errors.js'
import {memoryStore} from '../helpers/memory-store.js'
import type {Place} from '../contracts/place.js'
import {faultsContract} from '../contracts/store-faults.contract.js'
import {watchContract} from '../contracts/store-watch.contract.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {storeContract} from '../contracts/store.contract.js'

const create = async (): Promise<Place> => {
  const store = memoryStore()
  return {
    open: () => store.again(),
    async seed(fleet) {
      await store.commit(await store.load(), changesOf(fleet))
    },
    get: async key => store.get(key),
    put: async (key, manifest) => store.put(key, manifest),
    damage: async key => store.put(key, {broken: key}),
    lose: async () => store.break(new AtlasError('unreachable', 'lost')),
    restore: async () => store.break(undefined),
    version: async key => store.get(key),
    close: async () => undefined,
  }
}

for (const contract of [storeContract, watchContract, faultsContract]) contract('memory', create)
