/** Writers that are killed at random moments, and what must hold after each: the store is legal, and the next run completes it. */
import {readdir} from 'node:fs/promises'
import {expect} from 'chai'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {planReconcile, reconcile} from '../../../src/lib/ops/reconcile.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {sleep} from '../recorder.js'
import type {Folder} from './folder.js'
import {work} from './work.js'

const dependencies = {now: () => new Date(), signer: cryptoSigner}

/** One round: a writer adds clusters and is killed after `afterMs` of work. @returns whether it was killed in the middle */
export async function killedRound(folder: Folder, round: number, afterMs: number): Promise<boolean> {
  const writer = work('add', folder.directory, ...Array.from({length: 40}, (_, index) => `r-${round}-${index}`))
  await writer.line(line => line === 'begins')
  await sleep(afterMs)
  await writer.kill()
  const found = await folder.open().load()
  expectLegal(found)
  const after = await reconcile(folder.open(), dependencies)
  expectWhole(after)
  expect(planReconcile(await folder.open().load(), dependencies)).to.deep.equal([])
  // Where nothing was left to complete, the next commit clears away what was begun.
  await folder.open().commit(after, [{kind: 'endpoints', value: after.endpoints}])
  const hidden = (await readdir(folder.directory)).filter(name => name.startsWith('.') && !name.startsWith('.lock-'))
  expect(hidden).to.deep.equal(['.gitignore'])
  const added = [...after.registrations.keys()].filter(name => name.startsWith(`r-${round}-`)).length
  return added > 0 && added < 40
}

/** Any prefix of a commit: nothing broken, and no credential that is not on record. */
function expectLegal(fleet: Fleet): void {
  expect([...fleet.faults]).to.deep.equal([])
  for (const [owner, credential] of fleet.credentials)
    expect(fleet.records.get(owner)?.credentials.map(({sha256}) => sha256)).to.include(readKey(credential).sha256)
}

/** Every cluster has its certificates and its record. */
export function expectWhole(fleet: Fleet): void {
  expect([...fleet.faults]).to.deep.equal([])
  for (const name of fleet.registrations.keys())
    for (const held of [fleet.records, fleet.identities, fleet.credentials] as readonly ReadonlyMap<string, unknown>[])
      expect(held.has(name), name).to.equal(true)
}
