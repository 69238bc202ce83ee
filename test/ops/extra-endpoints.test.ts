import {expect} from 'chai'
import {init} from '../../src/lib/ops/init.js'
import {testDependencies, testSettings} from '../helpers/dependencies.js'
import {memoryStore} from '../helpers/memory-store.js'

describe('ops/init: further endpoints of Thanos Query', () => {
  const [store, dependencies] = [memoryStore(), testDependencies()]
  const namespace = testSettings.namespace

  it('are kept by an init that does not name them, and emptied by one that does', async () => {
    const extraEndpoints = [{address: 'dns+store:10901'}]
    await init(store, {extraEndpoints}, dependencies)
    expect((await init(store, {adsPort: 443}, dependencies)).settings.extraEndpoints).to.deep.equal(extraEndpoints)
    expect((await store.load()).endpoints?.text).to.equal('endpoints:\n- address: dns+store:10901\n')
    expect((await init(store, {extraEndpoints: []}, dependencies)).settings.extraEndpoints).to.deep.equal([])
  })

  it("are refused where one has an address of Atlas's own", async () => {
    const address = `paris-thanos-sidecar0.${namespace}.svc.cluster.local:10901`
    const error: unknown = await init(store, {extraEndpoints: [{address}]}, dependencies).catch((failure: unknown) => failure)
    expect(error).to.have.property('message', `the extra endpoint "${address}" has an address of Atlas's own endpoints`)
    await init(store, {extraEndpoints: [{address: 'paris-thanos-sidecar0.elsewhere.svc:10901'}]}, dependencies)
  })
})
