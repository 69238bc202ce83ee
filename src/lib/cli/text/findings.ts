/** What needs a person, for people: each finding of `status` and `cluster list` with the command to run next. */
import {accessHintIn} from '../../model/errors.js'
import {OBSERVABILITY, type Owner, objectKey, objectNames, parseObjectKey} from '../../model/names.js'
import {printable} from '../../model/printable.js'
import type {Finding, FindingJson} from '../../ops/finding.js'
import type {StateStore} from '../../store/store.js'
import {type StoreFlags, sameStore} from '../flags/store.js'
import {shellWord} from './shell.js'
import {credentialCommand, logCommand, releaseCommand} from './joining.js'

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
  return findings.map(finding => {
    const {right, ...known} = finding
    return {...known, ...(right !== undefined && context.namespace !== undefined && {right}), next: nextStepOf(finding, context)}
  })
}

/** Two lines for each: what it is, and the command; empty where there is none. */
export function renderFindings(findings: readonly FindingJson[]): string {
  if (findings.length === 0) return ''
  const lines = findings.slice(0, SHOWN_MAX).flatMap(({message, next}) => [`- ${printable(message)}`, `  Next: ${printable(next)}`])
  const more = findings.length > SHOWN_MAX ? [`- and ${findings.length - SHOWN_MAX} more; --json lists all of them`] : []
  return ['Needs attention:', ...lines, ...more].join('\n')
}

/** The command to run next. */
export function nextStepOf(finding: Finding, context: FindingContext): string {
  const {flags, namespace} = context
  const {kind, cluster = OBSERVABILITY} = finding
  const kubectl = namespace === undefined ? undefined : `kubectl${contextOf(flags)} --namespace ${namespace}`
  switch (kind) {
    case 'not connected':
    case 'rejected':
      return logsOf(cluster, kubectl, flags)
    case 'not updated':
      return `atlas rotate ${cluster}${sameStore(flags)}, if what cannot be read is its identity`
    case 'revoked':
      return `atlas cluster remove ${cluster}${sameStore(flags)}, or atlas cluster restore ${cluster}${sameStore(flags)} if its machines are yours again`
    case 'credential':
      return credentialStep(finding, kubectl, context)
    case 'envoy':
      return upgradeOf(cluster, kubectl, context)
    case 'memory':
    case 'open files':
      return higherLimit(kind, {hasChart: kubectl !== undefined, bootstrap: bootstrapCommand(cluster, flags)})
    case 'upstream tls':
      return kubectl === undefined
        ? `put ca.crt, and for a client certificate tls.crt and tls.key, into upstream/NAME beside its bootstrap, write that again with --upstream-tls NAME (or NAME:client), and restart this Envoy`
        : 'mount the certificates: value upstreamTls of chart envoy in that cluster'
    case 'group':
      return listGroups(finding, context)
    case 'fault':
    case 'registration':
      return editOf(finding, kubectl, flags)
    case 'rotation':
      return `atlas rotate --status${sameStore(flags)}`
    case 'no leader':
      return `${kubectl ?? 'kubectl'} get pods --selector app.kubernetes.io/component=controller`
    case 'warning':
      return logOfServer(finding, kubectl)
  }
}

function logOfServer({server}: Finding, kubectl: string | undefined): string {
  return kubectl === undefined || server === undefined ? 'see the log of "atlas serve"' : `${kubectl} logs ${server}`
}

/** @param by whether a chart writes the Envoy's bootstrap, and the command that does otherwise */
function higherLimit(
  kind: 'memory' | 'open files',
  {hasChart, bootstrap}: {readonly hasChart: boolean; readonly bootstrap: string},
): string {
  if (kind === 'memory')
    return hasChart
      ? 'set envoy.maxHeapBytes in the values of chart atlas, and a memory limit above it in envoy.resources'
      : `write its bootstrap again, with a limit that leaves room, and restart this Envoy: ${bootstrap} --max-heap-bytes N`
  return hasChart
    ? 'raise the limit of open files of its container runtime, and set openFiles in the values of its chart'
    : `raise the hard limit ("ulimit -Hn") where this Envoy is started, and write its bootstrap with the new limit: ${bootstrap} --open-files N`
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

/** Where no Envoy is connected, its credential was not applied, or it was, and the Envoy has ended or is cut off since. */
function credentialStep({cluster = OBSERVABILITY, proxy}: Finding, kubectl: string | undefined, context: FindingContext): string {
  if (proxy !== undefined) return renewalOf(cluster, kubectl, context)
  const log = kubectl === undefined || cluster === OBSERVABILITY ? ' see the log of the Envoy' : `: ${logCommand(cluster)}`
  return `if that credential was not applied yet: ${renewalOf(cluster, kubectl, context)}; otherwise${log}`
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
  if (kubectl === undefined && accessHintIn(message) !== undefined)
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

/** With another namespace of Thanos, the chart renders the rule with which Atlas may write the group's ConfigMap. */
function listGroups({groups = [], right = ''}: Finding, {flags, namespace}: FindingContext): string {
  const command = `atlas init${sameStore(flags)} --groups ${groups.join(',')}`
  return namespace === undefined ? command : `${right}, then run ${command}`
}
