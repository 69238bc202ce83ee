/** Objects that can't be written: what was asked of the leader is not answered as done. */
import {expect} from 'chai'
import type {Change} from '../../src/lib/model/change.js'
import type {Request} from '../../src/lib/model/request.js'
import {RefusedCommit} from '../../src/lib/store/commit.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {changesOf} from '../helpers/fleet-changes.js'
import {memoryStore} from '../helpers/memory-store.js'

const request: Request = {kind: 'rotate', owners: [], requestedAt: '2026-11-25T00:00:00.000Z', state: 'waiting'}

/** A store with a request to rotate everything, in which `object` is of a newer format and can't be written. */
async function answered(kind: string, name: string, change: (fleet: ReturnType<typeof testFleet>) => Change) {
  const store = memoryStore()
  const fleet = testFleet(testDependencies(), ['paris'])
  await store.commit(await store.load(), [...changesOf(fleet), {kind: 'request', id: 'r', value: request}])
  store.put(`${kind}/${name}`, {
    apiVersion: 'v1',
    kind,
    metadata: {name, labels: {'app.kubernetes.io/managed-by': 'atlas', 'goatlas.io/format': '2'}},
  })
  const commit = store.commit(await store.load(), [change(fleet), {kind: 'request', id: 'r', value: {...request, state: 'done'}}])
  const error: unknown = await commit.catch((thrown: unknown) => thrown)
  return {error, state: (await store.load()).requests.get('r')?.state}
}

describe('a request for all owners', () => {
  it('is not answered as done while the Secret of the ADS server can not be written', async () => {
    const {error, state} = await answered('Secret', 'atlas-ads-tls', fleet => ({kind: 'server', value: fleet.identities.get('atlas')}))
    expect(error).to.be.instanceOf(RefusedCommit)
    expect(state).to.equal('waiting')
  })

  it('is answered although the endpoints for Thanos Query can not be written', async () => {
    const {error, state} = await answered('ConfigMap', 'atlas-thanos-endpoints', () => ({
      kind: 'endpoints',
      value: {text: 'endpoints: []'},
    }))
    expect(error).to.be.instanceOf(RefusedCommit)
    expect(state).to.equal('done')
  })
})
