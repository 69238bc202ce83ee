/** One union for what is committed and what is watched; `reduce` is the only way a fleet changes. */
import type {Address} from './address.js'
import type {AuthorityPart, CertifiedKey, Credential, OwnerRecord, TrustBundle} from './authority.js'
import type {Cluster} from './cluster.js'
import type {Fault, Fleet, ObjectKey, Revision, Subject} from './fleet.js'
import type {ClientName, ClusterName, Owner} from './names.js'
import type {ReplicaReport} from './report.js'
import {NO_REQUEST, type Request, describeRequest} from './request.js'
import type {Settings} from './settings.js'

/** A value of undefined removes the entry. */
export type Change =
  | {readonly kind: 'authority'; readonly part: AuthorityPart; readonly value: CertifiedKey | undefined}
  | {readonly kind: 'client'; readonly name: ClientName; readonly value: Credential | undefined}
  | {readonly kind: 'credential'; readonly owner: Owner; readonly value: Credential | undefined}
  | {readonly kind: 'derived'; readonly object: ObjectKey; readonly value: string | undefined}
  | {readonly kind: 'endpoints'; readonly value: string | undefined}
  | {readonly kind: 'external'; readonly value: readonly Address[] | undefined}
  | {readonly kind: 'fault'; readonly subject: Subject; readonly value: Fault | undefined}
  | {readonly kind: 'identity'; readonly owner: Owner; readonly value: CertifiedKey | undefined}
  | {readonly kind: 'record'; readonly owner: Owner; readonly value: OwnerRecord | undefined}
  | {readonly kind: 'registration'; readonly name: ClusterName; readonly value: Cluster | undefined}
  | {readonly kind: 'replicas'; readonly value: readonly string[] | undefined}
  | {readonly kind: 'report'; readonly replica: string; readonly value: ReplicaReport | undefined}
  | {readonly kind: 'request'; readonly id: string; readonly value: Request | undefined}
  | {readonly kind: 'revision'; readonly object: ObjectKey; readonly value: Revision | undefined}
  | {readonly kind: 'server'; readonly value: CertifiedKey | undefined}
  | {readonly kind: 'settings'; readonly value: Settings | undefined}
  | {readonly kind: 'trust'; readonly value: TrustBundle | undefined}

/**
 * The fleet after a change. An entry that is set or removed is no longer at fault; a fault removes the entry that it is about
 * (what goes on being served meanwhile is decided in fleet.ts).
 */
export function reduce(fleet: Fleet, change: Change): Fleet {
  return reduceAll(fleet, [change])
}

/** As `reduce` over a list, copying each map once. */
export function reduceAll(fleet: Fleet, changes: readonly Change[]): Fleet {
  if (changes.length === 0) return fleet
  const draft = new Draft(fleet)
  for (const change of changes) draft.apply(change)
  return draft.fleet
}

/** Whose Envoys a change may concern; `all` for what every node is built from. */
export function concerned(change: Change): readonly Owner[] | 'all' {
  switch (change.kind) {
    case 'settings':
    case 'trust': {
      return 'all'
    }

    case 'identity': {
      return [change.owner]
    }

    case 'record': {
      return change.owner === 'atlas' ? ['atlas'] : [change.owner, 'atlas']
    }

    case 'registration': {
      return [change.name, 'atlas']
    }

    case 'fault': {
      return concernedBySubject(change.subject)
    }

    default: {
      return []
    }
  }
}

/** One line for people: what the change does. Never key material. */
export function describe(change: Change): string {
  const verb = change.value === undefined ? 'remove' : 'write'
  switch (change.kind) {
    case 'fault': {
      return change.value === undefined ? `${change.subject} is mended` : `${change.subject} is broken: ${change.value.message}`
    }

    case 'request': {
      if (change.id === NO_REQUEST) return 'write the place for requests'
      if (change.value === undefined) return `remove request ${change.id}`
      const {state} = change.value
      return `${state === 'waiting' ? 'ask the leader' : `answer, ${state}`}: ${describeRequest(change.value)}`
    }

    case 'external': {
      return 'the external Service has other addresses'
    }

    case 'revision': {
      return `${change.object} is now at ${change.value ?? 'no revision'}`
    }

    default: {
      return `${verb} ${nounOf(change)}`
    }
  }
}

/** What is written or removed. */
function nounOf(change: Exclude<Change, {kind: 'external' | 'fault' | 'request' | 'revision'}>): string {
  switch (change.kind) {
    case 'authority': {
      return `the ${{root: 'root', issuer: 'issuer', credentialIssuer: 'credential issuer'}[change.part]} certificate`
    }

    case 'client': {
      return `the certificate of client ${change.name}`
    }

    case 'credential': {
      return `the ADS credential of ${change.owner}`
    }

    case 'derived': {
      return change.object
    }

    case 'endpoints': {
      return 'the endpoints for Thanos Query'
    }

    case 'identity': {
      return `the identity of ${change.owner}`
    }

    case 'record': {
      return `the record of ${change.owner}`
    }

    case 'registration': {
      return `the registration of ${change.name}`
    }

    case 'replicas': {
      return 'the list of server replicas that live'
    }

    case 'report': {
      return `the report of server replica ${change.replica}`
    }

    case 'server': {
      return "the ADS server's certificate"
    }

    case 'settings': {
      return 'the settings'
    }

    case 'trust': {
      return 'the trust bundle'
    }
  }
}

function concernedBySubject(subject: Subject): readonly Owner[] | 'all' {
  if (subject === 'settings' || subject === 'trust') return 'all'
  const [kind, name] = [subject.slice(0, subject.indexOf('/')), subject.slice(subject.indexOf('/') + 1) as Owner]
  if (kind === 'identity') return [name]
  return kind === 'registration' || kind === 'record' ? [name, 'atlas'] : []
}

/** The subject that a change settles: setting or removing it ends its fault. */
function subjectOf(change: Exclude<Change, {kind: 'fault' | 'revision'}>): Subject {
  switch (change.kind) {
    case 'authority': {
      return `authority/${change.part}`
    }

    case 'credential':
    case 'identity':
    case 'record': {
      return `${change.kind}/${change.owner}`
    }

    case 'client':
    case 'registration': {
      return `${change.kind}/${change.name}`
    }

    case 'derived': {
      return `derived/${change.object}`
    }

    case 'report': {
      return `report/${change.replica}`
    }

    case 'request': {
      return `request/${change.id}`
    }

    default: {
      return change.kind
    }
  }
}

/** The fields of a fleet that are maps. */
type MapField = {[K in keyof Fleet]: Fleet[K] extends {readonly size: number} ? K : never}[keyof Fleet]

class Draft {
  fleet: Fleet
  /** The maps that are this draft's own copies already. */
  readonly #own = new Set<unknown>()

  constructor(fleet: Fleet) {
    this.fleet = fleet
  }

  apply(change: Change): void {
    if (change.kind === 'revision') {
      this.#put('revisions', change.object, change.value)
      return
    }

    if (change.kind === 'fault') {
      this.#put('faults', change.subject, change.value)
      if (change.value !== undefined) this.#drop(change.subject)
      return
    }

    if (this.fleet.faults.has(subjectOf(change))) this.#put('faults', subjectOf(change), undefined)
    this.#set(change)
  }

  #set(change: Exclude<Change, {kind: 'fault' | 'revision'}>): void {
    switch (change.kind) {
      case 'authority': {
        return this.#put('authority', change.part, change.value)
      }

      case 'client': {
        return this.#put('clients', change.name, change.value)
      }

      case 'credential': {
        return this.#put('credentials', change.owner, change.value)
      }

      case 'derived': {
        return this.#put('derived', change.object, change.value)
      }

      case 'identity': {
        return this.#put('identities', change.owner, change.value)
      }

      case 'record': {
        return this.#put('records', change.owner, change.value)
      }

      case 'registration': {
        return this.#put('registrations', change.name, change.value)
      }

      case 'report': {
        return this.#put('reports', change.replica, change.value)
      }

      case 'request': {
        return this.#put('requests', change.id, change.value)
      }

      default: {
        this.fleet = {...this.fleet, [change.kind]: change.value}
      }
    }
  }

  /** A broken entry is unknown; it must not go on being read as if it were good. Settings and trust stay: the last good ones serve. */
  #drop(subject: Subject): void {
    const name = subject.slice(subject.indexOf('/') + 1)
    if (subject.startsWith('registration/')) this.#put('registrations', name as ClusterName, undefined)
    if (subject.startsWith('identity/')) this.#put('identities', name as Owner, undefined)
    if (subject.startsWith('client/')) this.#put('clients', name as ClientName, undefined)
    if (subject.startsWith('credential/')) this.#put('credentials', name as Owner, undefined)
    if (subject.startsWith('authority/')) this.#put('authority', name as AuthorityPart, undefined)
  }

  #put<K, V>(field: MapField, key: K, value: V | undefined): void {
    const map = this.#owned(field) as unknown as Map<K, V>
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }

  #owned(field: MapField): Fleet[typeof field] {
    const present = this.fleet[field]
    if (this.#own.has(present)) return present
    const copy = new Map<unknown, unknown>(present) as unknown as Fleet[typeof field]
    this.#own.add(copy)
    this.fleet = {...this.fleet, [field]: copy}
    return copy
  }
}
