/**
 * From `atlas cluster add` to the first answer of a real Thanos Query, by the endpoints file and by DNS, with the intervals that Atlas's
 * pages and charts recommend: the network of test/e2e/discovery-probe.ts.
 */
import {fileURLToPath} from 'node:url'
import {type Added, type Looking, RESOLVER, type Seen} from '../test/e2e/discovery-looking.js'
import {runInOwnNetwork} from '../test/helpers/own-network.js'

const probe = fileURLToPath(new URL('../test/e2e/discovery-probe.ts', import.meta.url))

/** `reload` of the chart's CoreDNS, Thanos's default, and the interval of docs/how-to/install.md; seconds. */
const shipped = {zone: 15, dns: 30, file: 30}

/** Adds clusters one after the other, each at a time of its own within the intervals. @returns a row for each */
export async function measureDiscovery(clusters: number): Promise<readonly Added[]> {
  const looking: Looking = {...shipped, clusters: Array.from({length: clusters}, (_, index) => `cluster-${index}`)}
  const lines = await runInOwnNetwork<Added | Seen>(probe, JSON.stringify(looking), {
    resolver: RESOLVER,
    hear: line => {
      if ('added' in line) process.stderr.write(`${JSON.stringify(line)}\n`)
    },
  })
  return lines.filter(line => 'added' in line)
}
