/**
 * Runs inside a network of its own (helpers/own-network.ts): real monitoring behind both Envoys, and a Thanos Query. Packets to the Envoy of
 * `lyon`, and then to its sidecar, are dropped without a word: a route leads them to a machine that is not there. A line of JSON for each says what
 * Thanos Query answered meanwhile.
 */
import {execFile} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {promisify} from 'node:util'
import {until} from './look.js'
import {type Monitored, openMonitored} from './monitored.js'
import {endpointsIn, unhealthyIn, upIn} from './thanos-query.js'

/** Times in milliseconds. */
export interface Dropped {
  /** To what packets were dropped. */
  readonly to: string
  /** The replicas that the first queries had an answer of. */
  readonly others: readonly string[]
  /** The slowest query until the endpoint was reported. */
  readonly slowest: number
  readonly unhealthy: readonly string[]
  readonly reason: string
  /** The slowest of some queries after that. */
  readonly afterwards: number
  /** From the first packet that arrives again to the first answer of the cluster. */
  readonly back: number
}

const run = promisify(execFile)
const ENDPOINT = 'lyon-thanos-sidecar0'
const EVERY = '{prometheus_replica!=""}'

const ip = async (...args: readonly string[]): Promise<void> => {
  await run('ip', [...args])
}

await ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')
for (const end of ['v0', 'v1']) await ip('link', 'set', end, 'up')
await writeFile('/proc/sys/net/ipv4/conf/v0/route_localnet', '1')
const scene = await openMonitored()
try {
  const {address} = scene.network.member('lyon')
  const sidecar = scene.replicas.get('lyon-0')?.host
  if (sidecar === undefined) throw new Error('there is no lyon-0')
  for (const [to, host] of [
    ['the downstream Envoy', address],
    ['the sidecar', sidecar],
  ] as const)
    process.stdout.write(`${JSON.stringify(await drop(scene, to, host))}\n`)
} finally {
  await scene.network.close()
}

async function drop(scene: Monitored, to: string, host: string): Promise<Dropped> {
  const {network} = scene
  await until(network, 'all replicas', async () => (await upIn(scene, EVERY)).length === 3, 60)
  await ip('neigh', 'replace', host, 'lladdr', '02:00:00:00:00:01', 'dev', 'v0', 'nud', 'permanent')
  await ip('route', 'add', `${host}/32`, 'dev', 'v0', 'table', 'local', 'src', '127.0.0.1')
  let [others, slowest]: [readonly string[], number] = [[], 0]
  const timed = async (): Promise<number> => {
    const begin = performance.now()
    others = await upIn(scene, EVERY)
    return Math.round(performance.now() - begin)
  }
  const isReported = async (): Promise<boolean> => {
    slowest = Math.max(slowest, await timed())
    return (await unhealthyIn(scene)).length > 0
  }
  await until(network, `${to} to be reported`, isReported, 120)
  const first = others
  // One query may have begun before the endpoint was left out.
  await timed()
  const after = [await timed(), await timed(), await timed()]
  const [unhealthy, reason] = [await unhealthyIn(scene), (await endpointsIn(scene))[ENDPOINT] ?? '']
  await ip('route', 'del', `${host}/32`, 'dev', 'v0', 'table', 'local')
  const begin = performance.now()
  await until(network, 'lyon to be back', async () => (await upIn(scene, '{cluster="lyon"}')).length === 1, 120)
  const back = Math.round(performance.now() - begin)
  return {to, others: first, slowest, unhealthy, reason, afterwards: Math.max(...after), back}
}
