/** Records the API server's writes in its own order, and the holder of the Lease at each of them. It uses no clock. */
import type {Client} from '../../../src/lib/store/kubernetes/client.js'
import type {ElectionTimes} from '../../../src/lib/store/kubernetes/election.js'
import type {RawObject} from '../../../src/lib/store/kubernetes/list.js'

/** Shorter than the defaults, in the same proportions. Milliseconds. */
export const electionTimes: ElectionTimes = {leaseMs: 2000, renewMs: 1200, leaseRenewMs: 100, leaseRetryMs: 100}

/** A write, its writer, and the holder of the Lease at that moment. */
export interface LeasedWrite {
  readonly revision: number
  readonly object: string
  readonly writer: string
  /** Without the random part of its identity; empty: the Lease was free. */
  readonly holder: string
}

export interface LeaseHistory {
  /** All writes of Services so far by servers that put their name into the address. */
  writes(): readonly LeasedWrite[]
  /** The holders so far, one after the other. */
  holders(): readonly string[]
  /** When the Lease was given back last, by the clock of its holder; undefined: it was not. */
  givenBackAt(): Date | undefined
  stop(): void
}

interface Seen extends RawObject {
  readonly metadata: RawObject['metadata'] & {readonly annotations?: Readonly<Record<string, string>>}
  readonly spec?: {readonly holderIdentity?: string; readonly renewTime?: string}
}

/** Records from now on, until `stop`. */
export async function historyOf(client: Client): Promise<LeaseHistory> {
  const ended = new AbortController()
  const leases: {readonly revision: number; readonly holder: string; readonly at: string}[] = []
  const writes: {readonly revision: number; readonly object: string; readonly writer: string}[] = []
  await follow(client, ['coordination.k8s.io', 'leases'], ended.signal, ({metadata, spec}) => {
    if (metadata.name === 'atlas')
      leases.push({
        revision: Number(metadata.resourceVersion),
        holder: (spec?.holderIdentity ?? '').replace(/_[^_]*$/, ''),
        at: spec?.renewTime ?? '',
      })
  })
  await follow(client, ['', 'services'], ended.signal, ({metadata}) => {
    const writer = /^(.*)\.example\.net$/.exec(metadata.annotations?.['goatlas.io/addresses'] ?? '')?.[1]
    if (writer !== undefined) writes.push({revision: Number(metadata.resourceVersion), object: metadata.name, writer})
  })
  return {
    writes: () => writes.map(write => ({...write, holder: leases.findLast(({revision}) => revision < write.revision)?.holder ?? ''})),
    holders: () => leases.map(({holder}) => holder).filter((holder, index, all) => holder !== all[index - 1]),
    givenBackAt() {
      const last = leases.findLast(({holder}) => holder === '')
      return last === undefined ? undefined : new Date(last.at)
    },
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
  const info = {verb: 'watch', resource, group, namespace} as const
  const {metadata} = (await client.call({info: {...info, verb: 'list'}, path})) as {metadata: {resourceVersion: string}}
  await new Promise<void>((resolve, reject) => {
    const query = {watch: '1', resourceVersion: metadata.resourceVersion}
    const lines = (all: readonly string[]): void => {
      for (const line of all) {
        const {type, object} = JSON.parse(line) as {readonly type: string; readonly object: Seen}
        if (type === 'ADDED' || type === 'MODIFIED') saw(object)
      }
    }

    client.stream({info, path, query, signal}, 600_000, {opened: resolve, lines}).catch(reject)
  })
}
