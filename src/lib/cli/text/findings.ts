/** What needs a person, for people: each finding of `status` and `cluster list` with the command to run next. */
import {OBSERVABILITY, type Owner, objectKey, objectNames, parseObjectKey} from '../../model/names.js'
import {printable} from '../../model/printable.js'
import type {Finding} from '../../ops/findings.js'
import type {StateStore} from '../../store/store.js'
import {type StoreFlags, sameStore} from '../flags/store.js'
import {shellWord} from './shell.js'
import {credentialCommand, logCommand, releaseCommand} from './joining.js'

/** Documented in docs/reference/json.md; fields are only ever added. */
export interface FindingJson extends Finding {
  /** The command to run next. */
  readonly next: string
}

/** The store that the command has read. */
export interface FindingContext {
  readonly flags: StoreFlags
  /** The namespace in Kubernetes; undefined for a directory. */
  readonly namespace: string | undefined
  /** Of this program, and of the charts. */
  readonly version: string
  /** The clusters whose key the user may not read. */
  readonly unreadableKeys: ReadonlySet<Owner>
}

/** More findings are counted, not listed; `--json` has all of them. */
const SHOWN_MAX = 20

/** Findings as `--json` prints them. */
export function findingsJson(findings: readonly Finding[], context: FindingContext): readonly FindingJson[] {
  return findings.map(finding => ({...finding, next: nextOf(finding, context)}))
}

/** Two lines for each: what it is, and the command; empty where there is none. */
export function renderFindings(findings: readonly FindingJson[]): string {
  if (findings.length === 0) return ''
  const lines = findings.slice(0, SHOWN_MAX).flatMap(({message, next}) => [`- ${printable(message)}`, `  Next: ${printable(next)}`])
  const more = findings.length > SHOWN_MAX ? [`- and ${findings.length - SHOWN_MAX} more; --json lists all of them`] : []
  return ['Needs attention:', ...lines, ...more].join('\n')
}

function nextOf(finding: Finding, context: FindingContext): string {
  const {flags, namespace} = context
  const {kind, cluster = OBSERVABILITY} = finding
  const kubectl = namespace === undefined ? undefined : `kubectl${contextOf(flags)} --namespace ${namespace}`
  switch (kind) {
    case 'not connected':
    case 'rejected':
      return logsOf(cluster, kubectl, flags)
    case 'not updated':
      return `atlas rotate ${cluster}${sameStore(flags)}, if what cannot be read is its identity`
    case 'credential':
      return renewalOf(cluster, kubectl, context)
    case 'envoy':
      return upgradeOf(cluster, kubectl, context)
    case 'open files':
      return kubectl === undefined
        ? `raise the hard limit ("ulimit -Hn") where this Envoy is started, and write its bootstrap with the new limit: ${bootstrapCommand(cluster, flags)} --open-files N`
        : 'raise the limit of open files of its container runtime, and set openFiles in the values of its chart'
    case 'fault':
      return editOf(finding, kubectl, flags)
    case 'no leader':
      return `${kubectl ?? 'kubectl'} get pods --selector app.kubernetes.io/component=controller`
    case 'warning':
      return kubectl === undefined || finding.server === undefined ? 'see the log of "atlas serve"' : `${kubectl} logs ${finding.server}`
  }
}

/** Where an Envoy says why it does not connect, or what it refuses. */
function logsOf(cluster: Owner, kubectl: string | undefined, flags: StoreFlags): string {
  if (kubectl === undefined) return `see the log of the Envoy; "${bootstrapCommand(cluster, flags)}" writes its bootstrap`
  return cluster === OBSERVABILITY ? `${kubectl} logs --selector app.kubernetes.io/component=envoy --tail 20` : logCommand(cluster)
}

/** How the newest credential gets to the Envoys. */
function renewalOf(cluster: Owner, kubectl: string | undefined, {flags, unreadableKeys}: FindingContext): string {
  if (kubectl === undefined) return bootstrapCommand(cluster, flags)
  if (cluster === OBSERVABILITY) return `${kubectl} rollout restart deployment --selector app.kubernetes.io/component=envoy`
  const command = credentialCommand(cluster, flags)
  return unreadableKeys.has(cluster) ? `ask a user who may read Secret ${objectNames.credential(cluster)} to run: ${command}` : command
}

/** The clusters of findings whose next step needs a key that this user may not read. Where that is unknown, the user is taken to have the right. */
export async function unreadableKeysIn(findings: readonly Finding[], store: Pick<StateStore, 'mayRead'>): Promise<ReadonlySet<Owner>> {
  const owners = new Set(findings.flatMap(({kind, cluster}) => (kind === 'credential' && cluster !== undefined ? [cluster] : [])))
  const keys = await Promise.all(
    [...owners].map(async owner => {
      const mayRead = await store.mayRead(objectKey('Secret', objectNames.credential(owner))).catch(() => true)
      return [owner, mayRead] as const
    }),
  )
  return new Set(keys.flatMap(([owner, mayRead]) => (mayRead ? [] : [owner])))
}

/** The charts have an Envoy that is new enough. */
function upgradeOf(cluster: Owner, kubectl: string | undefined, {flags, version}: FindingContext): string {
  if (kubectl === undefined) return 'install a newer Envoy, and start it instead'
  return cluster === OBSERVABILITY ? 'upgrade the release of chart atlas, or set envoy.image.tag' : releaseCommand(cluster, flags, version)
}

function editOf({object = '', source, message}: Finding, kubectl: string | undefined, {store = ''}: StoreFlags): string {
  if (kubectl === undefined && message.includes("it can't be read: EACCES"))
    return `give ${shellWord(`${store}/${source ?? object}`)} to the user that runs "atlas serve" (chown), or make it readable for that user (chmod)`
  if (kubectl === undefined) return `edit ${shellWord(`${store}/${source ?? object}`)}`
  const {kind, name} = parseObjectKey(object)
  return `${kubectl} edit ${kind.toLowerCase()} ${name}`
}

function bootstrapCommand(cluster: Owner, flags: StoreFlags): string {
  return `atlas cluster values ${cluster}${sameStore(flags)} --format bootstrap --output DIR`
}

function contextOf({context, kubeconfig}: StoreFlags): string {
  return `${kubeconfig === undefined ? '' : ` --kubeconfig ${shellWord(kubeconfig)}`}${context === undefined ? '' : ` --context ${shellWord(context)}`}`
}
