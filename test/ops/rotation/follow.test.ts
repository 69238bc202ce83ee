/** A command that waits for the end of a rotation, and must not take anything else for it. */
import {expect} from 'chai'
import {objectKeyOf} from '../../../src/lib/manifest/kinds.js'
import {reduceAll} from '../../../src/lib/model/change.js'
import type {Rotation} from '../../../src/lib/model/rotation.js'
import {followRotation} from '../../../src/lib/ops/rotation/follow.js'
import {changesOf} from '../../helpers/fleet-changes.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {type MemoryStore, memoryStore} from '../../helpers/memory-store.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {ModelNetwork} from './model-network.js'

describe('the end of a rotation, as a command waits for it', () => {
  let network: ModelNetwork
  let store: MemoryStore
  const seen: (Rotation | undefined)[] = []
  const follow = async (waitMs: number): Promise<Rotation | undefined> =>
    followRotation(store, {waitMs, changed: rotation => seen.push(rotation)})

  beforeEach(async () => {
    seen.length = 0
    network = new ModelNetwork(testDependencies(), ['oslo', 'paris'])
    network.begin('issuer')
    network.fleet = reduceAll(network.fleet, network.plan())
    expect(network.fleet.trust?.issuers).to.have.length(2)
    expect(network.stage).not.to.equal(undefined)
    store = memoryStore()
    await store.commit(await store.load(), changesOf(network.fleet))
  })

  it('is there when the bundle has one issuer and the record is gone', async () => {
    const following = follow(20_000)
    while (seen.length === 0) await new Promise(setImmediate)
    const fleet = await store.load()
    const trust = fleet.trust!
    await store.commit(fleet, [{kind: 'rotation', value: undefined}])
    await store.commit(await store.load(), [{kind: 'trust', value: {...trust, issuers: trust.issuers.slice(1)}}])
    expect((await following)?.part).to.equal('issuer')
  })

  it('is not there where the record alone is lost: the bundle shows that the leader goes on', async () => {
    await store.commit(await store.load(), [{kind: 'rotation', value: undefined}])
    const error = await rejectedBy(follow(300))
    expect([error.code, error.message]).to.deep.equal(['failed', 'the rotation has not begun after 0 s, or its record is lost'])
  })

  it('is there although a former credential issuer of the same root stays', async () => {
    const fleet = await store.load()
    const trust = fleet.trust!
    const more = [...trust.credentialIssuers, ...trust.issuers.slice(1)]
    await store.commit(fleet, [{kind: 'rotation', value: undefined}])
    await store.commit(await store.load(), [{kind: 'trust', value: {...trust, issuers: trust.issuers.slice(1), credentialIssuers: more}}])
    await follow(20_000)
  })

  it('is not waited for where the record cannot be read: the error names it', async () => {
    store.put(objectKeyOf('rotation'), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {name: 'atlas-rotation'},
      data: {rotation: 'broken'},
    })
    const error = await rejectedBy(follow(20_000))
    expect(error.code).to.equal('failed')
    expect(error.message).to.match(/^the record of the rotation cannot be read: ConfigMap\/atlas-rotation, /)
  })
})
