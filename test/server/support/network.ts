/** A server of a small installation, made by the product's own operations, and clients with its certificates. */
import {type Owner, parseClusterName, spiffe} from '../../../src/lib/model/names.js'
import {init} from '../../../src/lib/ops/init.js'
import {reconcile} from '../../../src/lib/ops/reconcile.js'
import {readKey} from '../../../src/lib/pki/read.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {typeUrls} from '../../../src/lib/xds/type-url.js'
import type {ServeOptions} from '../../../src/server/options.js'
import {type Serving, serve} from '../../../src/server/serve.js'
import {testCluster} from '../../helpers/fleet.js'
import {type Connection, type DeltaClient, connect} from './client.js'
import {type TestStore, testStore} from './store.js'

export interface Network {
  readonly store: TestStore
  readonly serving: Serving
  /** Milliseconds: `ahead` is time that passes for the server, `wrong` is what its clock shows too much. */
  readonly clock: {ahead: number; wrong: number}
  /** A connection with the ADS credential of `owner`. */
  direct(owner: string, metadata?: Readonly<Record<string, string>>): Connection
  /** A connection as the observability Envoy opens it for `owner`. */
  relay(owner: string, xfcc?: string, metadata?: Readonly<Record<string, string>>): Connection
  xfcc(owner: string): string
  /** Restarts the server on the same store. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export const types = typeUrls

/** A network of registered clusters; stopped after the test by `stop`. */
export async function startNetwork(clusters: readonly string[], options: Partial<ServeOptions> = {}): Promise<Network> {
  const store = testStore()
  const clock = {ahead: 0, wrong: 0}
  const dependencies = {now: () => new Date(Date.now() + clock.ahead + clock.wrong), signer: cryptoSigner}
  await init(store, {}, dependencies)
  for (const name of clusters) store.write({kind: 'registration', name: parseClusterName(name), value: testCluster(name)})
  await reconcile(store, dependencies)
  const open = async (): Promise<Serving> =>
    serve({
      store,
      dependencies,
      steady: () => performance.now() + clock.ahead,
      listen: {host: '127.0.0.1', port: 0},
      admin: {host: '127.0.0.1', port: 0},
      log: 'silent',
      ...options,
      times: {stopGraceMs: 1000, ...options.times},
    })
  let serving = await open()
  const connections: Connection[] = []
  const dial = (parts: Omit<Parameters<typeof connect>[0], 'address' | 'roots'>): Connection => {
    const roots = store.fleet().trust?.roots.join('') ?? ''
    const connection = connect({address: serving.address, roots, ...parts})
    connections.push(connection)
    return connection
  }

  const network: Network = {
    store,
    clock,
    get serving() {
      return serving
    },
    direct: (owner, metadata = {}) => dial({key: need(store.fleet().credentials.get(owner as Owner)), metadata}),
    relay: (owner, xfcc = network.xfcc(owner), metadata = {}) =>
      dial({
        key: need(store.fleet().identities.get('atlas')),
        metadata: {...metadata, ...(xfcc === '' ? {} : {'x-forwarded-client-cert': xfcc})},
      }),
    xfcc(owner) {
      const credential = need(store.fleet().credentials.get(owner as Owner))
      const facts = readKey(credential)
      return `By=${spiffe.observability('atlas.internal')};Hash=${facts.sha256};URI=${facts.uris[0] ?? ''}`
    },
    async restart() {
      await serving.stop()
      serving = await open()
    },
    async stop() {
      for (const connection of connections) connection.close()
      await serving.stop()
    },
  }
  return network
}

/** The node of `owner`, as a first request carries it. */
export function nodeOf(owner: string, id = `${owner}-0`): {readonly cluster: string; readonly id: string} {
  return {cluster: owner, id}
}

/** Subscribes as a downstream Envoy does when it starts. */
export function subscribe(client: DeltaClient, owner: string, id?: string): void {
  client.send({node: nodeOf(owner, id), typeUrl: types.cluster})
  client.send({typeUrl: types.listener})
  client.send({typeUrl: types.secret, resourceNamesSubscribe: ['identity', 'trust']})
}

/** Takes and acknowledges responses until none comes for `quietMs`. */
export async function settle(client: DeltaClient, quietMs = 150): Promise<number> {
  for (let count = 0; ; count += 1) {
    try {
      // The first one takes a handshake, which can be long on a loaded machine.
      const {typeUrl, nonce} = await (client.responses.length === 0 ? client.next() : client.next(quietMs))
      client.send({typeUrl, responseNonce: nonce})
    } catch {
      return count
    }
  }
}

/** As `settle` for several, until the server's report says that each has acknowledged everything. */
export async function settleAll(network: Network, clients: readonly DeltaClient[], timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  const isDone = (): boolean => {
    const {proxies} = network.serving.report()
    return proxies.length >= clients.length && proxies.every(({types: all}) => all.length > 2 && all.every(({state}) => state === 'synced'))
  }

  do await Promise.all(clients.map(async client => settle(client, 50)))
  while (!isDone() && Date.now() < deadline)
  if (!isDone()) throw new Error(`not all in step within ${timeoutMs} ms: ${JSON.stringify(network.serving.report().proxies)}`)
}

export function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test needs something that is not there')
  return value
}

export async function eventually(check: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
