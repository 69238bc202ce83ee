/** What a finding is: something in a running network that needs a person. Which there are: findings.ts. */
import type {Owner} from '../model/names.js'

/**
 * `credential`: a proxy still uses a credential past half of its life, though there is a newer one, or for an hour no proxy has had
 * the one that was issued after a revocation or a removal; `envoy`: proxies run an Envoy with known security faults; `fault`: a stored object cannot be read; `no leader`: no server signs and writes; `not connected`: a registered
 * cluster without a proxy; `group`: clusters are in a group that the settings do not list; `registration`: something in a registration has
 * no effect, or a page of it is refused; `not updated`, `rejected`: as the state of a proxy; `revoked`: a cluster waits for a
 * person to restore or remove it; `open files`: an Envoy connects to more than
 * its limit of open files allows; `memory`: the fleet needs more heap than an observability Envoy's limit; `rotation`: a rotation has waited
 * for 15 minutes; `upstream tls`: an Envoy lacks the certificates for a Thanos endpoint with TLS; `warning`: what a server, or the leader,
 * warns of.
 */
export type FindingKind =
  | 'credential'
  | 'envoy'
  | 'fault'
  | 'group'
  | 'no leader'
  | 'not connected'
  | 'not updated'
  | 'memory'
  | 'open files'
  | 'registration'
  | 'rejected'
  | 'revoked'
  | 'rotation'
  | 'upstream tls'
  | 'warning'

export interface Finding {
  readonly kind: FindingKind
  readonly cluster?: Owner
  /** Of a proxy: its id. */
  readonly proxy?: string
  /** Of a fault: kind and name of the object, such as `Service/paris`. */
  readonly object?: string
  /** Of a fault: the file, where the store has files. */
  readonly source?: string
  /** Of a group: every group that the settings should list. */
  readonly groups?: readonly string[]
  /** Of a group in Kubernetes: how the right to write its endpoints is given. */
  readonly right?: string
  /** Of a warning: the server that warns. */
  readonly server?: string
  /** A sentence without its full stop. */
  readonly message: string
}

/** As `status --json` has it: documented in docs/reference/json.md; fields are only ever added. */
export interface FindingJson extends Finding {
  /** The command to run next. */
  readonly next: string
}
