/** A command that is killed between two of its writes, or a leader: the next command, or the next leader, ends what was begun. */
import {expect} from 'chai'
import {type Change, reduce, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {Request} from '../../src/lib/model/request.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {planAnswers} from '../../src/lib/ops/answer-requests.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {restoreCluster, revokeCluster} from '../../src/lib/ops/cluster/revoke.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {reconciled, testDependencies, testFleet} from '../helpers/dependencies.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {memoryStore} from '../helpers/memory-store.js'

const [paris, rome] = [parseClusterName('paris'), parseClusterName('rome')]
const dependencies = testDependencies()
const first = reduce(testFleet(dependencies, ['paris', 'lyon']), {kind: 'revision', object: 'Service/paris', value: '7'})

/** What is stored of paris: the generations of its certificates, and what its record says. */
function storyOf(fleet: Fleet) {
  const record = fleet.records.get(paris)
  return {
    registered: fleet.registrations.has(paris),
    uris: [fleet.identities.get(paris), fleet.credentials.get(paris)].flatMap(key => (key === undefined ? [] : readKey(key).uris)),
    generation: record?.generation,
    isRevoked: record?.revokedSince !== undefined,
    // A credential is recorded before it is written: a command that is killed in between leaves one that is in no Secret.
    hasValid: record?.credentials.some(({state}) => state === 'valid'),
    denied: record?.denied.length,
    isHalf: record?.removing !== undefined,
    isListed: fleet.endpoints?.text.includes('paris'),
  }
}

const jobs: readonly {readonly name: string; readonly run: (store: StateStore) => Promise<unknown>; readonly request: Partial<Request>}[] =
  [
    {name: 'remove', run: store => removeCluster(store, 'paris', dependencies), request: {kind: 'remove'}},
    {name: 'revoke', run: store => revokeCluster(store, 'paris', {reissue: false}, dependencies), request: {kind: 'revoke', generation: 1}},
    {
      name: 'revoke --reissue',
      run: store => revokeCluster(store, 'paris', {reissue: true}, dependencies),
      request: {kind: 'revoke', generation: 1, reissue: true},
    },
  ]

/** One pass of a leader: what is asked for, and what is due then. */
function pass(base: Fleet): readonly Change[] {
  const answers = [...planAnswers(base, dependencies)].flat()
  return [...answers, ...planReconcile(reduceAll(base, answers), dependencies)]
}

describe('killed half-way', () => {
  for (const {name, run, request} of jobs) {
    it(`cluster ${name} on a directory has done nothing, or is ended by the next command`, async () => {
      const whole = memoryStore()
      await whole.commit(emptyFleet, changesOf(first))
      const before = storyOf(await whole.load())
      await run(whole)
      const done = storyOf(await whole.load())
      let [cuts, isWhole] = [0, false]
      for (; !isWhole; cuts += 1) {
        const store = memoryStore()
        await store.commit(emptyFleet, changesOf(first))
        store.dieAfter(cuts)
        isWhole = await run(store).then(
          () => true,
          () => false,
        )
        const next = store.again()
        await addCluster(next, rome, {request: {}, defaults: targetsOf(defaultStack)}, dependencies)
        expect(storyOf(await next.load()), `after ${cuts} writes`).to.deep.equal(cuts === 0 ? before : done)
      }

      expect(cuts).to.be.greaterThan(2)
    })

    it(`cluster ${name} by a leader is ended by the next one, and answered`, () => {
      const asked: Change = {
        kind: 'request',
        id: 'r',
        value: {kind: 'revoke', owners: [paris], requestedAt: dependencies.now().toISOString(), state: 'waiting', ...request},
      }
      const fleet = reduceAll(first, [asked])
      const plan = pass(fleet)
      const done = storyOf(reduceAll(fleet, plan))
      for (let cut = 0; cut <= plan.length; cut += 1) {
        const after = reconciled(reduceAll(reduceAll(fleet, plan.slice(0, cut)), pass(reduceAll(fleet, plan.slice(0, cut)))), dependencies)
        expect(storyOf(after), `cut at ${cut}`).to.deep.equal(done)
        expect(after.answers.get('r')?.state).to.equal('done')
      }
    })
  }

  for (const kind of ['rotate', 'rotate-ads', 'rotate-issuer', 'rotate-root'] as const)
    it(`D12: ${kind} by a leader is not lost: the next one does it, whichever write the first died before, and answers`, () => {
      const isOfOwners = kind === 'rotate' || kind === 'rotate-ads'
      const value: Request = {kind, owners: isOfOwners ? [paris] : [], requestedAt: dependencies.now().toISOString(), state: 'waiting'}
      const fleet = reduceAll(first, [{kind: 'request', id: 'r', value}])
      const isDone = (after: Fleet): boolean => {
        const [own, former] = [after, first].map(each => (kind === 'rotate' ? each.identities : each.credentials).get(paris))
        return isOfOwners
          ? own !== undefined && former !== undefined && readKey(own).serial !== readKey(former).serial
          : after.rotation?.part === kind.slice('rotate-'.length)
      }
      const plan = pass(fleet)
      expect(plan.length).to.be.greaterThan(1)
      for (let cut = 0; cut <= plan.length; cut += 1) {
        const killed = reduceAll(fleet, plan.slice(0, cut))
        const after = reduceAll(killed, pass(killed))
        expect([isDone(after), after.answers.get('r')?.state], `cut at ${cut}`).to.deep.equal([true, 'done'])
      }
    })

  it('cluster restore is ended by the next command', async () => {
    const store = memoryStore()
    await store.commit(emptyFleet, changesOf(first))
    await revokeCluster(store, 'paris', {reissue: false}, dependencies)
    const killed = store.again()
    killed.dieAfter(1)
    await restoreCluster(killed, 'paris', dependencies).catch(() => undefined)
    await restoreCluster(store.again(), 'paris', dependencies)
    expect(storyOf(await store.load())).to.include({generation: 2, isRevoked: false, hasValid: true, isListed: true})
  })
})
