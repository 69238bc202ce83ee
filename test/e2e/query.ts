/**
 * Calls clusters continuously as Thanos Query would, each time as if it had just resolved the name: the call goes where the cluster's
 * Service points at that moment. There is no kubelet here, so the test sets the pods behind each selector.
 */
import {setTimeout as sleep} from 'node:timers/promises'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {messageOf} from '../../src/lib/model/errors.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {ANSWERED_BY, oneCall} from './backend.js'

export type Way = 'new' | 'old'

export interface Query {
  /** The calls to a cluster's replica 0 since `mark`, in order. */
  asked(cluster: string, mark?: number): readonly Question[]
  /** Now, for `asked`. */
  mark(): number
  /** The longest time without an answer since `mark`, milliseconds: from the last answer before to the first after it. */
  gap(cluster: string, mark?: number): number
  stop(): Promise<void>
}

export interface Question {
  readonly at: number
  readonly way: Way | undefined
  /** The backend that answered; undefined: none did. */
  readonly by: string | undefined
  readonly why?: string
}

interface ServiceList {
  readonly items: readonly {
    readonly metadata: {readonly name: string}
    readonly spec: {readonly selector: Readonly<Record<string, string>>}
  }[]
}

const EVERY = 100

/** @param pods addresses of the observability Envoys, 10901 */
export function openQuery(
  kubernetes: Kubernetes,
  namespace: string,
  clusters: readonly string[],
  pods: Readonly<Record<Way, string>>,
): Query {
  const asked = new Map<string, Question[]>(clusters.map(cluster => [cluster, []]))
  const stopping = new AbortController()

  async function selectors(): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    const path = `/api/v1/namespaces/${namespace}/services?labelSelector=goatlas.io/thanos-sidecar`
    const {body} = await kubernetes.request<ServiceList>('GET', path)
    return new Map(body.items.map(({metadata, spec}) => [metadata.name, spec.selector]))
  }

  async function ask(cluster: string, selector: Readonly<Record<string, string>> | undefined): Promise<void> {
    const [at, way] = [performance.now(), wayOf(selector)]
    let [by, why]: [string | undefined, string | undefined] = [undefined, 'nobody is selected']
    if (way !== undefined)
      try {
        const authority = `${cluster}-thanos-sidecar0.${namespace}.svc.cluster.local:10901`
        const {headers, grpcStatus, status} = await callOnce(openPlain({host: pods[way], port: 10_901}), oneCall(authority, 10_000))
        if (grpcStatus === 0) [by, why] = [String(headers[ANSWERED_BY]), undefined]
        else why = `HTTP ${status}, gRPC ${String(grpcStatus)}`
      } catch (error) {
        why = messageOf(error)
      }

    asked.get(cluster)?.push({at, way, by, ...(why !== undefined && {why})})
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const led = await selectors().catch(() => undefined)
      if (led !== undefined) await Promise.all(clusters.map(async cluster => ask(cluster, led.get(`${cluster}-thanos-sidecar0`))))
      await sleep(EVERY)
    }
  }

  const running = run()
  const since = (cluster: string, mark = 0): readonly Question[] => (asked.get(cluster) ?? []).filter(({at}) => at >= mark)
  return {
    asked: since,
    mark: () => performance.now(),
    gap(cluster, mark = 0) {
      const answered = (asked.get(cluster) ?? []).filter(({by}) => by !== undefined).map(({at}) => at)
      const before = answered.findLast(at => at < mark) ?? answered[0] ?? 0
      const all = [before, ...answered.filter(at => at >= mark), performance.now()]
      return Math.max(...all.slice(1).map((at, index) => at - (all[index] ?? at)))
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** The addresses of pods with all these labels. */
function wayOf(selector: Readonly<Record<string, string>> = {}): Way | undefined {
  const text = JSON.stringify(Object.entries(selector).sort())
  if (/^\[\["app","envoy"\],\["release","(atlas|edge)"\]\]$/.test(text)) return 'old'
  return text === '[["goatlas.io/envoy","observability"]]' ? 'new' : undefined
}
