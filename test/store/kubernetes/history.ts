/** What the API server did, in its own order: who held the Lease when something was written. No clock is asked. */
import type {Client} from '../../../src/lib/store/kubernetes/client.js'
import type {ElectionTimes} from '../../../src/lib/store/kubernetes/election.js'
import type {RawObject} from '../../../src/lib/store/kubernetes/list-watch.js'

/** Shorter than in earnest, in the same proportions. Milliseconds. */
export const electionTimes: ElectionTimes = {leaseMs: 2000, renewMs: 1200, leaseRetryMs: 100}

/** Something that was written, by whom, and who held the Lease at that moment. */
export interface Deed {
  readonly revision: number
  readonly object: string
  readonly writer: string
  /** Without what tells a server's lives apart; empty: nobody. */
  readonly holder: string
}

export interface History {
  /** All writes of Services so far by those who put their name into the address. */
  deeds(): readonly Deed[]
  /** The holders so far, one after the other. */
  holders(): readonly string[]
  stop(): void
}

interface Seen extends RawObject {
  readonly metadata: RawObject['metadata'] & {readonly annotations?: Readonly<Record<string, string>>}
  readonly spec?: {readonly holderIdentity?: string}
}

/** Writes down what happens from now on, until `stop`. */
export async function historyOf(client: Client): Promise<History> {
  const ended = new AbortController()
  const leases: {readonly revision: number; readonly holder: string}[] = []
  const writes: {readonly revision: number; readonly object: string; readonly writer: string}[] = []
  await follow(client, ['coordination.k8s.io', 'leases'], ended.signal, ({metadata, spec}) => {
    if (metadata.name === 'atlas')
      leases.push({revision: Number(metadata.resourceVersion), holder: (spec?.holderIdentity ?? '').replace(/_[^_]*$/, '')})
  })
  await follow(client, ['', 'services'], ended.signal, ({metadata}) => {
    const writer = /^(.*)\.example\.net$/.exec(metadata.annotations?.['goatlas.io/addresses'] ?? '')?.[1]
    if (writer !== undefined) writes.push({revision: Number(metadata.resourceVersion), object: metadata.name, writer})
  })
  return {
    deeds: () => writes.map(write => ({...write, holder: leases.findLast(({revision}) => revision < write.revision)?.holder ?? ''})),
    holders: () => leases.map(({holder}) => holder).filter((holder, index, all) => holder !== all[index - 1]),
    stop: () => ended.abort(),
  }
}

async function follow(
  client: Client,
  [group, resource]: readonly [string, string],
  signal: AbortSignal,
  saw: (object: Seen) => void,
): Promise<void> {
  const {namespace} = client
  const path = `${group === '' ? '/api/v1' : `/apis/${group}/v1`}/namespaces/${namespace}/${resource}`
  const asked = {verb: 'watch', resource, group, namespace} as const
  const {metadata} = (await client.call({asked: {...asked, verb: 'list'}, path})) as {metadata: {resourceVersion: string}}
  await new Promise<void>((resolve, reject) => {
    const query = {watch: '1', resourceVersion: metadata.resourceVersion}
    const lines = (all: readonly string[]): void => {
      for (const line of all) {
        const {type, object} = JSON.parse(line) as {readonly type: string; readonly object: Seen}
        if (type === 'ADDED' || type === 'MODIFIED') saw(object)
      }
    }

    client.stream({asked, path, query, signal}, 600_000, {opened: resolve, lines}).catch(reject)
  })
}
