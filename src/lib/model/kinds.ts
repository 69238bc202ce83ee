/**
 * What the fleet holds, kind by kind: the field of `Fleet`, the change that sets it, and one row of facts about it. A new kind is a
 * field, a change and a row here, and one row in manifest/kinds.ts, which says how it is stored. `reduce` applies changes (change.ts).
 */
import type {Address} from './address.js'
import type {Alertmanager} from './alertmanager.js'
import type {AuthorityPart, CertifiedKey, Credential, NextPart, OfferedRoot, OwnerRecord, TrustBundle} from './authority.js'
import type {Cluster} from './cluster.js'
import type {Endpoints} from './endpoints.js'
import type {Fault} from './errors.js'
import {type ClientName, type ClusterName, OBSERVABILITY, type ObjectKey, type Owner, derivedOwner} from './names.js'
import type {ReplicaReport} from './report.js'
import {type Answer, NO_REQUEST, type Request, describeRequest} from './request.js'
import {type Rotation, describeStage} from './rotation.js'
import type {Settings} from './settings.js'

/** A stored object's version: opaque, equal only for equal content. */
export type Revision = string

/** All that Atlas knows, as one immutable value. */
export interface Fleet {
  /** Undefined before `init`. */
  readonly settings: Settings | undefined
  readonly authority: ReadonlyMap<AuthorityPart | NextPart, CertifiedKey>
  readonly trust: TrustBundle | undefined
  /** Undefined while no signing certificate is being replaced. */
  readonly rotation: Rotation | undefined
  /** Registrations as people wrote them; one that does not decode is absent here and named in `faults`. */
  readonly registrations: ReadonlyMap<ClusterName, Cluster>
  /** What SDS delivers; `atlas` is the observability cluster's. */
  readonly identities: ReadonlyMap<Owner, CertifiedKey>
  readonly credentials: ReadonlyMap<Owner, Credential>
  /** The certificates of the clients of the internal ports in mutual TLS. */
  readonly clients: ReadonlyMap<ClientName, Credential>
  /** The ADS server's own certificate. */
  readonly server: CertifiedKey | undefined
  readonly records: ReadonlyMap<Owner, OwnerRecord>
  /** The endpoints file for Thanos Query, as stored. */
  readonly endpoints: Endpoints | undefined
  /** The same for the clusters of each group that the settings list. */
  readonly groupEndpoints: ReadonlyMap<string, Endpoints>
  /** What Kubernetes keeps beside the fleet and can be made from it at any time (manifest/derived.ts): one text of Atlas's parts each. */
  readonly derived: ReadonlyMap<ObjectKey, string>
  /** The Alertmanagers that the leader has found, by name; undefined before it has looked. */
  readonly alertmanagers: readonly Alertmanager[] | undefined
  /** The addresses of the external Service of the observability Envoy, from its load balancer's status; empty while it has none. */
  readonly external: readonly Address[] | undefined
  /** Roots from outside, by the name of the Secret that offers each; only who reads all Secrets knows them. */
  readonly offeredRoots: ReadonlyMap<string, OfferedRoot>
  /** What people have asked the leader to do, by an id. */
  readonly requests: ReadonlyMap<string, Request>
  /** The leader's answers to them, by the same id. */
  readonly answers: ReadonlyMap<string, Answer>
  /** The last report of each server replica, living or dead, about its proxies. */
  readonly reports: ReadonlyMap<string, ReplicaReport>
  /** The living server replicas, as the leader sees them; undefined before a leader has written the list. */
  readonly replicas: readonly string[] | undefined
  readonly faults: ReadonlyMap<Subject, Fault>
  readonly revisions: ReadonlyMap<ObjectKey, Revision>
}

/** What is committed to a store, and what a store reports. A value of undefined removes the entry. */
export type Change =
  | {readonly kind: 'alertmanagers'; readonly value: readonly Alertmanager[] | undefined}
  | {readonly kind: 'answer'; readonly id: string; readonly value: Answer | undefined}
  | {readonly kind: 'authority'; readonly part: AuthorityPart | NextPart; readonly value: CertifiedKey | undefined}
  | {readonly kind: 'client'; readonly name: ClientName; readonly value: Credential | undefined}
  | {readonly kind: 'credential'; readonly owner: Owner; readonly value: Credential | undefined}
  | {readonly kind: 'derived'; readonly object: ObjectKey; readonly value: string | undefined}
  | {readonly kind: 'endpoints'; readonly value: Endpoints | undefined}
  | {readonly kind: 'external'; readonly value: readonly Address[] | undefined}
  | {readonly kind: 'fault'; readonly subject: Subject; readonly value: Fault | undefined}
  | {readonly kind: 'groupEndpoints'; readonly group: string; readonly value: Endpoints | undefined}
  | {readonly kind: 'identity'; readonly owner: Owner; readonly value: CertifiedKey | undefined}
  | {readonly kind: 'offeredRoot'; readonly secret: string; readonly value: OfferedRoot | undefined}
  | {readonly kind: 'record'; readonly owner: Owner; readonly value: OwnerRecord | undefined}
  | {readonly kind: 'registration'; readonly name: ClusterName; readonly value: Cluster | undefined}
  | {readonly kind: 'replicas'; readonly value: readonly string[] | undefined}
  | {readonly kind: 'report'; readonly replica: string; readonly value: ReplicaReport | undefined}
  | {readonly kind: 'request'; readonly id: string; readonly value: Request | undefined}
  | {readonly kind: 'revision'; readonly object: ObjectKey; readonly value: Revision | undefined}
  | {readonly kind: 'rotation'; readonly value: Rotation | undefined}
  | {readonly kind: 'server'; readonly value: CertifiedKey | undefined}
  | {readonly kind: 'settings'; readonly value: Settings | undefined}
  | {readonly kind: 'trust'; readonly value: TrustBundle | undefined}

export type Kind = Change['kind']
export type ChangeOf<K extends Kind> = Extract<Change, {readonly kind: K}>
export type ValueOf<K extends Kind> = NonNullable<ChangeOf<K>['value']>

/** The field of a change that names the entry; `never` where the fleet holds one value of the kind. */
type NameField<K extends Kind> = Exclude<keyof ChangeOf<K>, 'kind' | 'value'>

/** Kinds of entries, each of which can be at fault; of some the fleet holds one, of the others many, by name. */
export type EntryKind = Exclude<Kind, 'fault' | 'revision'>
type SingleKind = {[K in EntryKind]: [NameField<K>] extends [never] ? K : never}[EntryKind]

/** What can be at fault on its own: an entry, or an object that holds no known entry. Made by `subjectOf`. */
export type Subject = SingleKind | `${Exclude<EntryKind, SingleKind>}/${string}` | `object/${string}`

export type SubjectKind = EntryKind | 'object'

/** Some owners, or all. */
export type Owners = readonly Owner[] | 'all'

/** The facts about one kind of change. `name` is the entry's name, empty where the fleet holds one value. */
interface AnyRow {
  /** Where the fleet holds it. */
  readonly field: keyof Fleet
  /** The field of the change that names the entry. */
  readonly name: string | undefined
  /** For people, after "write" or "remove"; or, for some kinds, a sentence of their own. */
  noun?(name: string): string
  sentence?(change: Change): string
  /** Owners whose Envoys the change may concern. */
  envoys(name: string): Owners
  /** Owners whose certificates, records and derived objects the leader looks at again. */
  due(name: string): Owners
  /** Whether the change may take a right away: it is then sent to the Envoys without delay. */
  cutsOff?(value: Change['value']): boolean
  /** The fleet holds no broken entry of this kind: it must not be used as if it were good. All other kinds keep the last good one. */
  readonly absentWhenBroken?: true
}

/** The same, as the types of one kind's changes allow. */
type Row<K extends Kind> = Omit<AnyRow, 'cutsOff' | 'field' | 'name' | 'noun' | 'sentence'> & {
  readonly field: FieldOf<K>
  readonly name: [NameField<K>] extends [never] ? undefined : NameField<K>
  cutsOff?(value: ValueOf<K> | undefined): boolean
} & ({noun(name: string): string} | {sentence(change: ChangeOf<K>): string})

/** The fields of a fleet that can hold what a kind's changes set. */
type FieldOf<K extends Kind> = {[F in keyof Fleet]: [Fleet[F], Held<K>] extends [Held<K>, Fleet[F]] ? F : never}[keyof Fleet]
type Held<K extends Kind> = [NameField<K>] extends [never] ? ChangeOf<K>['value'] : ReadonlyMap<ChangeOf<K>[NameField<K>], ValueOf<K>>

const partNouns: Readonly<Record<AuthorityPart | NextPart, string>> = {
  root: 'root',
  issuer: 'issuer',
  credentialIssuer: 'credential issuer',
  nextRoot: 'next root',
  nextIssuer: 'next issuer',
  nextCredentialIssuer: 'next credential issuer',
}

const all = (): Owners => 'all'
const none = (): Owners => []
const observability = (): Owners => [OBSERVABILITY]
const own = (owner: Owner): Owners => [owner]
/** A downstream cluster's own Envoys, and those of the observability cluster, which connect to them. */
const bothEnds = (owner: Owner): Owners => (owner === OBSERVABILITY ? [OBSERVABILITY] : [owner, OBSERVABILITY])

/** A fault concerns the owners that a change of the same entry does. */
const ofSubject =
  (column: 'due' | 'envoys') =>
  (subject: Subject): Owners => {
    const {kind, name} = parseSubject(subject)
    return kind === 'object' ? [] : changeKinds[kind][column](name)
  }

export const changeKinds: {readonly [K in Kind]: Row<K>} = {
  alertmanagers: {field: 'alertmanagers', name: undefined, noun: () => 'the list of Alertmanagers', envoys: all, due: observability},
  answer: {
    field: 'answers',
    name: 'id',
    sentence({id, value}) {
      if (id === NO_REQUEST) return 'write the place for answers'
      return value === undefined ? `remove the answer to request ${id}` : `answer, ${value.state}: ${describeRequest(value)}`
    },
    envoys: none,
    due: none,
  },
  authority: {
    field: 'authority',
    name: 'part',
    noun: part => `the ${partNouns[part as AuthorityPart | NextPart]} certificate`,
    envoys: none,
    due: all,
    absentWhenBroken: true,
  },
  client: {
    field: 'clients',
    name: 'name',
    noun: name => `the certificate of client ${name}`,
    envoys: none,
    due: observability,
    absentWhenBroken: true,
  },
  credential: {
    field: 'credentials',
    name: 'owner',
    noun: owner => `the ADS credential of ${owner}`,
    envoys: none,
    due: own,
    absentWhenBroken: true,
  },
  derived: {field: 'derived', name: 'object', noun: object => object, envoys: none, due: ownersOfDerived},
  endpoints: {field: 'endpoints', name: undefined, noun: () => 'the endpoints for Thanos Query', envoys: none, due: observability},
  external: {field: 'external', name: undefined, sentence: () => 'the external Service has other addresses', envoys: all, due: all},
  fault: {
    field: 'faults',
    name: 'subject',
    sentence: ({subject, value}) => (value === undefined ? `${subject} is repaired` : `${subject} is broken: ${value.message}`),
    envoys: ofSubject('envoys'),
    due: ofSubject('due'),
  },
  groupEndpoints: {
    field: 'groupEndpoints',
    name: 'group',
    noun: group => `the endpoints of group ${group} for Thanos Query`,
    envoys: none,
    due: observability,
  },
  identity: {field: 'identities', name: 'owner', noun: owner => `the identity of ${owner}`, envoys: own, due: own, absentWhenBroken: true},
  offeredRoot: {
    field: 'offeredRoots',
    name: 'secret',
    noun: secret => `the root that Secret ${secret} offers`,
    envoys: none,
    due: observability,
    absentWhenBroken: true,
  },
  record: {
    field: 'records',
    name: 'owner',
    noun: owner => `the record of ${owner}`,
    envoys: bothEnds,
    due: bothEnds,
    cutsOff: record =>
      record === undefined ||
      record.suspendedSince !== undefined ||
      record.revokedSince !== undefined ||
      record.denied.length > 0 ||
      record.credentials.some(({state, retiredAt}) => state === 'revoked' && retiredAt === undefined),
  },
  registration: {
    field: 'registrations',
    name: 'name',
    noun: name => `the registration of ${name}`,
    envoys: bothEnds,
    due: bothEnds,
    cutsOff: cluster => cluster === undefined,
    absentWhenBroken: true,
  },
  replicas: {field: 'replicas', name: undefined, noun: () => 'the list of living server replicas', envoys: none, due: none},
  report: {field: 'reports', name: 'replica', noun: replica => `the report of server replica ${replica}`, envoys: none, due: none},
  request: {
    field: 'requests',
    name: 'id',
    sentence({id, value}) {
      if (id === NO_REQUEST) return 'write the place for requests'
      if (value === undefined) return `remove request ${id}`
      return `${value.state === 'waiting' ? 'ask the leader' : `mark as ${value.state}`}: ${describeRequest(value)}`
    },
    envoys: none,
    due: observability,
  },
  revision: {
    field: 'revisions',
    name: 'object',
    sentence: ({object, value}) => `${object} is now at ${value ?? 'no revision'}`,
    envoys: none,
    due: none,
  },
  rotation: {
    field: 'rotation',
    name: undefined,
    sentence: ({value}) => (value === undefined ? 'end the rotation' : `rotate the ${value.part}, ${describeStage(value)}`),
    envoys: none,
    due: all,
  },
  server: {field: 'server', name: undefined, noun: () => "the ADS server's certificate", envoys: none, due: observability},
  settings: {field: 'settings', name: undefined, noun: () => 'the settings', envoys: all, due: all},
  trust: {field: 'trust', name: undefined, noun: () => 'the trust bundle', envoys: all, due: all, cutsOff: () => true},
}

/** The row of a change's kind. */
export function rowOf(change: Change): AnyRow {
  return changeKinds[change.kind]
}

/** The name of the entry that a change is about; empty where the fleet holds one value of the kind. */
export function nameIn(change: Change): string {
  const {name} = rowOf(change)
  return name === undefined ? '' : ((change as unknown as Readonly<Record<string, string>>)[name] ?? '')
}

/** What the fleet holds of the entry that a change is about. */
export function valueIn(fleet: Fleet, change: Change): Change['value'] {
  const {field, name} = rowOf(change)
  return (name === undefined ? fleet[field] : (fleet[field] as ReadonlyMap<string, unknown>).get(nameIn(change))) as Change['value']
}

/** The change of that kind, entry and value. */
export function changeOf<K extends Kind>(kind: K, name: string, value: ValueOf<K> | undefined): ChangeOf<K> {
  const row = changeKinds[kind] as AnyRow
  return {kind, ...(row.name !== undefined && {[row.name]: name}), value} as unknown as ChangeOf<K>
}

/** The subject of an entry, or of an object that holds no known entry; `name` is empty where the fleet holds one value of the kind. */
export function subjectOf(kind: SubjectKind, name = ''): Subject {
  return (name === '' ? kind : `${kind}/${name}`) as Subject
}

/** What `subjectOf` put together. */
export function parseSubject(subject: Subject): {readonly kind: SubjectKind; readonly name: string} {
  const slash = subject.indexOf('/')
  const kind = (slash < 0 ? subject : subject.slice(0, slash)) as SubjectKind
  return {kind, name: slash < 0 ? '' : subject.slice(slash + 1)}
}

/** The owners of a derived object. */
export function ownersOfDerived(object: ObjectKey): readonly Owner[] {
  const owner = derivedOwner(object)
  return owner === undefined || owner === 'zone' ? [OBSERVABILITY] : [owner]
}
