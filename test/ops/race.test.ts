/** Several processes that do the same at the same time: one has done it, and only that one says so. */
import {expect} from 'chai'
import {init} from '../../src/lib/ops/init.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {type MemoryStore, memoryStore} from '../helpers/memory-store.js'

const dependencies = {now: () => new Date(), signer: cryptoSigner}

describe('ops: a race', () => {
  for (const signedBy of ['caller', 'leader'] as const)
    it(`of eight init where the ${signedBy} signs: one has created the root, and no other reports to have written it`, async () => {
      const place = memoryStore()
      const stores = Array.from({length: 8}, (): MemoryStore => ({...place.again(), signedBy}))
      const results = await Promise.all(stores.map(async store => init(store, {}, dependencies)))
      const {authority} = await place.load()
      const written = results.filter(({changes}) => changes.some(change => change.kind === 'authority' && change.part === 'root'))
      expect(results.filter(({created}) => created)).to.have.length(1)
      expect(written).to.deep.equal(results.filter(({created}) => created))
      for (const {after} of results) expect(after.authority.get('root')?.certificate).to.equal(authority.get('root')?.certificate)
      // The trust bundle has the one root.
      if (signedBy === 'caller') expect((await place.load()).trust?.roots).to.have.length(1)
    })
})
