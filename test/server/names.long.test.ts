/** A server under which clusters with ever new names come and go. */
import {setTimeout as sleep} from 'node:timers/promises'
import {expect} from 'chai'
import type {Change} from '../../src/lib/model/change.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {init} from '../../src/lib/ops/init.js'
import {planRemoval} from '../../src/lib/ops/revoke.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import {collectGarbage} from '../helpers/heap.js'
import {type MemoryStore, memoryStore} from '../helpers/memory-store.js'

const dependencies = {now: () => new Date(), signer: cryptoSigner}
const minutes = Number(process.env['ATLAS_NAMES_MINUTES'] ?? 30)

/** Clusters that are there at the same time. */
const AT_ONCE = 20

/** How much more a server may hold than one that was started just now. */
const SLACK = 1.25

/** Adds clusters, waits until their credentials are issued, and removes them. */
async function comeAndGo(store: MemoryStore, from: number): Promise<void> {
  const names = Array.from({length: AT_ONCE}, (_, index) => parseClusterName(`c${String(from + index)}`))
  const added = names.map((name): Change => ({kind: 'registration', name, value: testCluster(name)}))
  await store.commit(await store.load(), added)
  while ((await store.load()).credentials.size <= AT_ONCE) await sleep(5)
  for (const name of names) {
    const fleet = await store.load()
    await store.commit(fleet, planRemoval(fleet, name, dependencies))
  }
}

async function heapMiB(): Promise<number> {
  await collectGarbage()
  return process.memoryUsage().heapUsed / 2 ** 20
}

describe('a server of clusters that come and go', function () {
  this.timeout((minutes + 5) * 60_000)

  it('holds what a server holds that was started just now: of a removed name its record, which is never dropped', async () => {
    const place = memoryStore()
    await init(place.again(), {}, dependencies)
    const start = async () =>
      serve({store: place.again(), dependencies, listen: {host: '127.0.0.1', port: 0}, admin: {host: '127.0.0.1', port: 0}, log: 'silent'})

    let server = await start()
    const end = performance.now() + minutes * 60_000
    let names = 0
    let operator = place.again()
    for (; performance.now() < end || names === 0; names += AT_ONCE) await comeAndGo(operator, names)
    operator = memoryStore()
    const [old, count] = [await heapMiB(), (await place.again().load()).records.size]
    await server.stop()
    server = await start()
    const fresh = await heapMiB()
    await server.stop()
    expect(count).to.be.above(names)
    process.stderr.write(`      ${names} names: ${old.toFixed(1)} MiB, ${fresh.toFixed(1)} after a restart\n`)
    expect(old, `MiB after ${names} names; ${fresh.toFixed(1)} after a restart`).to.be.below(fresh * SLACK)
    operator.close()
  })
})
