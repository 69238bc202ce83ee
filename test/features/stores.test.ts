/** The server on the product's own stores: what another process writes there arrives at the Envoys. */
import {mkdir, mkdtemp, readFile, readdir, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {AtlasError} from '../../src/lib/model/errors.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {removeCluster} from '../../src/lib/ops/cluster/remove.js'
import {init} from '../../src/lib/ops/init.js'
import {reconcile} from '../../src/lib/ops/reconcile.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {memoryStore} from '../helpers/memory-store.js'
import {openDirectory} from '../../src/lib/store/open.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {type Serving, serve} from '../../src/server/serve.js'
import {testCluster} from '../helpers/fleet.js'
import {type Connection, type DeltaClient, connect} from '../server/support/client.js'
import {eventually, need, settle, subscribe, types} from '../server/support/network.js'
import {until} from '../store/recorder.js'

const dependencies = {now: () => new Date(), signer: cryptoSigner}
const paris = parseClusterName('paris')
const local = {host: '127.0.0.1', port: 0}

describe('a server on a store', () => {
  let connection: Connection
  let serving: Serving
  let atlas: DeltaClient

  async function start(store: StateStore, endpointsFile?: string): Promise<void> {
    await init(store, {}, dependencies)
    serving = await serve({
      store,
      dependencies,
      listen: local,
      admin: local,
      log: 'silent',
      times: {stopGraceMs: 1000},
      ...(endpointsFile !== undefined && {endpointsFile}),
    })
    const {credentials, trust} = await store.load()
    connection = connect({address: serving.address, roots: need(trust).roots.join(''), key: need(credentials.get('atlas'))})
    atlas = connection.delta()
    subscribe(atlas, 'atlas')
    atlas.send({typeUrl: types.scope})
    await settle(atlas)
  }

  afterEach(async () => {
    connection.close()
    await serving.stop()
  })

  async function addAndRemove(store: StateStore): Promise<void> {
    await store.commit(await store.load(), [{kind: 'registration', name: paris, value: testCluster('paris')}])
    await eventually(
      () => atlas.responses.some(response => response.resources.some(({name}) => name === 'thanos/paris')),
      'the Envoy or the report has it',
    )
    await eventually(() => serving.report().withoutProxy.includes(paris), 'the report names it')
    await reconcile(store, dependencies)
    expect((await store.load()).credentials.has(paris)).to.equal(true)
    await settle(atlas)
    await removeCluster(store, 'paris', dependencies)
    const removed = (): readonly string[] => atlas.responses.flatMap(({removedResources}) => removedResources)
    const deadline = Date.now() + 25_000
    do await settle(atlas, 400)
    while (!removed().includes('thanos/paris') && Date.now() < deadline)
    expect(removed()).to.include('thanos/paris')
  }

  it('memory: adds and removes a cluster', async () => {
    const store = memoryStore()
    await start(store)
    await addAndRemove(store)
  })

  it('memory: goes on while the store is broken', async () => {
    const store = memoryStore()
    await start(store)
    store.break(new AtlasError('unreachable', 'broken by the test'))
    await eventually(() => !serving.report().store.reachable, 'the Envoy or the report has it')
    expect(serving.readiness().ready).to.equal(true)
    store.break(undefined)
    await eventually(() => serving.report().store.reachable, 'it is back')
    await store.commit(await store.load(), [{kind: 'registration', name: paris, value: testCluster('paris')}])
    await eventually(
      () => atlas.responses.some(response => response.resources.some(({name}) => name === 'thanos/paris')),
      'the Envoy or the report has it',
    )
  })

  describe('in a directory', () => {
    let directory: string
    beforeEach(async () => {
      directory = await mkdtemp(path.join(tmpdir(), 'atlas-serve-'))
    })
    afterEach(async () => rm(directory, {recursive: true, force: true}))

    it('adds and removes a cluster that another process writes', async () => {
      await start(openDirectory({directory}))
      await addAndRemove(openDirectory({directory}))
    })

    it('shows other commands the address of its admin port, while it runs', async () => {
      await start(openDirectory({directory}))
      expect(await openDirectory({directory}).holder()).to.deep.equal({admin: serving.adminAddress})
      await serving.stop()
      expect(await openDirectory({directory}).holder()).to.equal(undefined)
    })

    it('a second server with the same flags learns which process serves the directory, not that its admin port is taken', async () => {
      await start(openDirectory({directory}))
      const admin = {host: '127.0.0.1', port: Number(new URL(serving.adminAddress).port)}
      const second = serve({store: openDirectory({directory}), dependencies, listen: local, admin, log: 'silent'})
      const error = await second.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).to.be.instanceOf(AtlasError)
      expect(error).to.include({code: 'conflict'})
      expect(String(error)).to.include(`process ${process.pid}, admin port ${serving.adminAddress}`)
    })

    it('warns while the endpoints for Thanos Query can not be written', async () => {
      const folder = path.join(directory, 'not-there')
      await start(openDirectory({directory}), path.join(folder, 'endpoints.yaml'))
      expect(serving.readiness().warnings.join()).to.include(`can not be written to ${folder}/endpoints.yaml`)
      await mkdir(folder)
      await eventually(() => serving.readiness().warnings.length === 0, 'the file is written')
    }).timeout(60_000)

    it('a registration broken by hand costs no Envoy anything, and is named with its file', async () => {
      const store = openDirectory({directory})
      await start(store)
      await store.commit(await store.load(), [{kind: 'registration', name: paris, value: testCluster('paris')}])
      await eventually(
        () => atlas.responses.some(response => response.resources.some(({name}) => name === 'thanos/paris')),
        'the Envoy or the report has it',
      )
      // The leader has issued what the cluster needs.
      await until(async () => (await store.load()).credentials.has(paris))
      await settle(atlas, 400)
      const before = atlas.responses.length
      const file = need((await readdir(directory)).find(name => name === 'service-paris.yaml'))
      const text = await readFile(path.join(directory, file), 'utf8')
      await writeFile(path.join(directory, file), text.replace('198.51.100.4', '198.51.100.4.5.6'))
      await eventually(() => serving.report().faults.length > 0, 'the fault is seen')
      expect(serving.report().faults[0]).to.include({subject: 'registration/paris'})
      expect(serving.report().faults[0]?.source).to.match(/service-paris\.yaml/)
      await settle(atlas, 300)
      expect(atlas.responses.length).to.equal(before)
    })
  })
})
