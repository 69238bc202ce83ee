/** What `cluster revoke` did or would do, what a thief can still do, and what comes next; also after `cluster restore`. */
import {renderDuration} from '../../model/duration.js'
import {type ClusterName, objectNames} from '../../model/names.js'
import type {ClusterEntry} from '../../ops/cluster/list.js'
import type {CutOff} from '../../ops/cluster/revoke.js'
import {type StoreFlags, commandsInSameStore, sameStore} from '../flags/store.js'
import {type JoiningOptions, credentialCommand, restartCommand} from './joining.js'
import {renderChanges} from './render.js'

export interface RevokedOptions {
  readonly flags: StoreFlags
  readonly reissue: boolean
  /** `asked`: the leader has not answered yet. */
  readonly progress: 'asked' | 'done' | 'would be'
}

/** What is revoked, and from when on what is refused. */
export function renderRevoked(cutOff: CutOff, {flags, reissue, progress}: RevokedOptions): string {
  const {name, credential, changes, streamLimit} = cutOff
  const what = subjectOf(cutOff)
  if (changes.length === 0) return `Nothing changed: ${what} is revoked already.`
  const done = {asked: 'The leader was asked to revoke', done: 'Revoked:', 'would be': 'This would be revoked:'}[progress]
  const lines = [
    `${done} ${what}\n${renderChanges(changes)}`,
    ...(credential === undefined
      ? [
          `Within 10 s every request with an earlier identity or ADS credential of ${name} is refused, on open connections too, and its ADS streams end.`,
          'Its idle connections to 10900 and 10903 close within a minute.',
          `A stream that is open now, such as a query, ends after ${renderDuration(streamLimit)} at most: the lifetime of connections ("atlas init --set thanosConnection=10m") and a tenth.`,
          'While the observability Envoy is not connected, or not updated ("atlas status"), this time begins when it is again.',
        ]
      : [
          'Within 10 s its ADS streams end, and no other is opened with it.',
          `A thief who has used it has got an identity through it, which stays valid. If it was stolen, run: atlas cluster revoke ${name}${sameStore(flags)}`,
        ]),
    ...(reissue
      ? [
          `Warning: a new credential is put into Secret ${objectNames.credential(name)} at once. A pipeline that copies this Secret gives it to a thief who holds the cluster.`,
        ]
      : []),
  ]
  return commandsInSameStore(lines.join('\n'), flags)
}

/** What is asked before it is done. */
export function revocationQuestion(cutOff: CutOff, {reissue}: {readonly reissue: boolean}) {
  const what = subjectOf(cutOff)
  const next = reissue
    ? 'a new one is issued'
    : cutOff.credential === undefined
      ? 'nothing is issued before it is restored'
      : 'others stay valid'
  return {action: `revoke ${what}`, consequence: `This cuts off ${what}; ${next}.`}
}

/** The command that comes next where nothing was issued. */
export function nextAfterRevocation(
  name: ClusterName,
  {credential, flags}: {readonly credential: string | undefined; readonly flags: StoreFlags},
): string {
  const store = sameStore(flags)
  if (credential !== undefined) return `atlas status${store}`
  return `atlas cluster restore ${name}${store} once its machines are yours again, or atlas cluster remove ${name}${store}`
}

/** What `cluster restore` says of a cluster that is not revoked, with the command where that one is suspended. */
export function renderNotRevoked({name, state}: Pick<ClusterEntry, 'name' | 'state'>): string {
  return state === 'suspended'
    ? `Cluster ${name} is not revoked but suspended: its registration was deleted. "atlas cluster add ${name}" registers it as before, with its certificates.`
    : `Cluster ${name} is not revoked.`
}

/**
 * How a cluster whose certificates were issued again joins. Envoy reads the new files at once, and opens a new connection after its next
 * refused stream. An observability Envoy 1.36 does not end the old connection (envoy/refused-client.ts): then the downstream one is restarted.
 */
export function renderReissued(name: ClusterName, flags: StoreFlags, {mayReadKey}: Pick<JoiningOptions, 'mayReadKey'>): string {
  const bootstrap = `atlas cluster values ${name}${sameStore(flags)} --format bootstrap --output DIR`
  const keeps = 'where DIR has its present files; their other flags are kept'
  const who = mayReadKey ? 'run' : `a user who may read Secret ${objectNames.credential(name)} runs`
  const next = `\nNext, the Envoy of ${name} needs its new credential, which it takes up within seconds; ${who}`
  const restart = `With an observability Envoy 1.36, restart the Envoy of ${name} then`
  // A directory is used without Kubernetes first of all.
  return flags.store === undefined
    ? `${next}:\n  ${credentialCommand(name, flags)}\nFor an Envoy outside Kubernetes: ${bootstrap}, ${keeps}\n${restart}, such as by: ${restartCommand(name)}`
    : `${next}:\n  ${bootstrap}\n${keeps}. ${restart}.\nFor an Envoy in Kubernetes instead:\n  ${credentialCommand(name, flags)}\nand to restart it: ${restartCommand(name)}`
}

function subjectOf({name, credential}: CutOff): string {
  return credential === undefined ? `cluster ${name}` : `credential ${credential} of cluster ${name}`
}
