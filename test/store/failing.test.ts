/** An object that the store fails at, for a time or for good: all others are written. */
import {expect} from 'chai'
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import type {Change} from '../../src/lib/model/change.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {type Fleet, type ObjectKey, emptyFleet} from '../../src/lib/model/fleet.js'
import {type CommitConflict, RefusedCommit, type Writable, commitOnto} from '../../src/lib/store/commit.js'
import type {StoredObject} from '../../src/lib/store/objects.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {changesOf} from '../helpers/fleet-changes.js'

const FAILING = 'Service/paris-thanos-sidecar1'
const derived: Change = {kind: 'derived', object: FAILING, value: JSON.stringify({spec: {ports: [], clusterIP: 'None', selector: {}}})}

describe('a commit to a store that fails at one object', () => {
  const fleet = testFleet(testDependencies(), ['paris', 'rome'])
  const all = changesOf(fleet)
  const forAll = all.filter(({kind}) => ['authority', 'settings', 'trust'].includes(kind))
  const ofRome = all.filter(change => ('owner' in change && change.owner === 'rome') || ('name' in change && change.name === 'rome'))

  /** Commits the changes to a store in which everything that concerns all is written. */
  async function commit(changes: readonly Change[], {isAnswer, isDown = false}: {isAnswer: boolean; isDown?: boolean}) {
    const held = new Map<ObjectKey, StoredObject>()
    let isFailing = false
    const place: Writable = {
      description: 'the place',
      writesAtOnce: 8,
      exclusively: async work => work(),
      read: async key => held.get(key),
      isAnswer: () => isAnswer,
      async write(key, manifest: Manifest | undefined) {
        if (isFailing && (isDown || key === FAILING))
          throw new AtlasError('unreachable', 'the API server answered 500: failed calling webhook')
        const object: StoredObject = {key, revision: '1', manifest}
        held.set(key, object)
        return object
      },
    }
    const onto = async (base: Fleet, some: readonly Change[]): Promise<Fleet> =>
      commitOnto(
        place,
        async key => held.get(key),
        base,
        some,
        async () => undefined,
      )
    const base = await onto(emptyFleet, forAll)
    isFailing = true
    const error: unknown = await onto(base, changes).catch((thrown: unknown) => thrown)
    return {error, fleet: error instanceof RefusedCommit ? error.fleet : base}
  }

  function refusals(error: unknown): readonly CommitConflict[] {
    expect(error).to.be.instanceOf(RefusedCommit)
    return (error as RefusedCommit).refusals
  }

  it('writes all others where the failure is an answer, also where the object is alone in its batch', async () => {
    const alone: Change = {kind: 'identity', owner: 'atlas', value: fleet.identities.get('atlas')}
    for (const changes of [
      [derived, ...ofRome],
      [derived, alone, ...ofRome],
    ]) {
      const {error, fleet: after} = await commit(changes, {isAnswer: true})
      expect(refusals(error).map(({object}) => object)).to.deep.equal([FAILING])
      expect(after.credentials.has('rome' as never)).to.equal(true)
      expect(after.records.get('rome' as never)).to.deep.equal(fleet.records.get('rome' as never))
    }
  })

  it('writes all others where another object of the batch could be written', async () => {
    const {error, fleet: after} = await commit([derived, ...ofRome], {isAnswer: false})
    expect(refusals(error)).to.have.length(1)
    expect(after.credentials.has('rome' as never)).to.equal(true)
  })

  it('ends where the store does not answer at all', async () => {
    const {error} = await commit([derived, ...ofRome], {isAnswer: false, isDown: true})
    expect(error).to.be.instanceOf(AtlasError).and.not.instanceOf(RefusedCommit)
    expect((error as AtlasError).code).to.equal('unreachable')
  })
})
