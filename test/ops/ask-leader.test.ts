/** Which answer a command believes: the leader's alone, where a leader of this version has run. */
import {expect} from 'chai'
import type {Change} from '../../src/lib/model/change.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {NO_REQUEST, type Request} from '../../src/lib/model/request.js'
import {waitForAnswer} from '../../src/lib/ops/ask-leader.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {type MemoryStore, memoryStore} from '../helpers/memory-store.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const dependencies = testDependencies()
const at = dependencies.now().toISOString()
const request: Request = {kind: 'remove', owners: [paris], requestedAt: at, state: 'waiting'}
const place: Change = {kind: 'answer', id: NO_REQUEST, value: undefined}

async function storeWith(...changes: readonly Change[]): Promise<MemoryStore> {
  const store = memoryStore()
  await store.commit(await store.load(), [...changesOf(testFleet(dependencies, [])), {kind: 'request', id: 'r', value: request}])
  for (const change of changes) await store.commit(await store.load(), [change])
  return store
}

/** What the command says; empty where it believes that the request was fulfilled. */
async function said(store: MemoryStore, waitMs = 300): Promise<string> {
  return waitForAnswer(store, {id: 'r', owners: [paris]}, 'paris is not removed yet', {waitMs, dependencies}).then(
    () => '',
    (error: unknown) => String(error),
  )
}

describe('ops/ask-leader', () => {
  it("a request that another account has marked as done is not believed; the leader's answer is", async () => {
    const store = await storeWith(place, {kind: 'request', id: 'r', value: {...request, state: 'done', answeredAt: at}})
    expect(await said(store)).to.contain('there is no leader')
    await store.commit(await store.load(), [
      {kind: 'answer', id: 'r', value: {kind: 'remove', owners: [paris], state: 'done', answeredAt: at}},
    ])
    expect(await said(store, 20_000)).to.equal('')
  })

  it('an answer to other owners than those that were asked for is reported', async () => {
    const store = await storeWith(place, {kind: 'answer', id: 'r', value: {kind: 'remove', owners: [lyon], state: 'done', answeredAt: at}})
    expect(await said(store, 20_000)).to.contain('the leader did: remove lyon')
  })

  it('an answer to a rotation that leaves another cluster behind, or goes to another root, is reported', async () => {
    const answer = {kind: 'rotate-root', owners: [], state: 'done', answeredAt: at} as const
    const asked = {id: 'r', kind: 'rotate-root', owners: [], nextRoot: 'ab'.repeat(32)} as const
    const patience = {waitMs: 20_000, dependencies}
    const outcome = async (...changed: readonly Change[]): Promise<string> =>
      waitForAnswer(await storeWith(place, ...changed), asked, 'no rotation', patience).then(() => '', String)
    const changed = async (details: object): Promise<string> =>
      outcome({kind: 'answer', id: 'r', value: {...answer, nextRoot: asked.nextRoot, ...details}})
    expect(await changed({})).to.equal('')
    expect(await changed({skip: [lyon]}))
      .to.contain('rotate the root to the root')
      .and.to.contain(', without lyon')
    expect(await changed({nextRoot: 'cd'.repeat(32)})).to.contain('cdcdcd')
  })

  it('a leader of an earlier version answers in the request', async () => {
    const store = await storeWith({kind: 'request', id: 'r', value: {...request, state: 'failed', answeredAt: at, message: 'no'}})
    expect(await said(store, 20_000)).to.contain('paris is not removed yet: no')
  })
})
