/** Objects -> changes, entry by entry: a broken entry costs itself only, an unchanged one is not looked at again. */
import {createHash} from 'node:crypto'
import type {AuthorityPart} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {AtlasError, messageOf} from '../model/errors.js'
import {type Fault, type Fleet, type ObjectKey, type Subject} from '../model/fleet.js'
import {type ClusterName, type Owner, SHARDS, objectNames, parseClientName, parseOwner} from '../model/names.js'
import {derivedOwner, derivedText, isDerived} from './derived.js'
import {type StoredChange, objectOf, signerNames} from './encode.js'
import {ENDPOINTS_KEY} from './endpoints.js'
import {decodeClient, decodeCredential, decodeSecret, parseIdentity, signerKeys, tlsKeys} from './secrets.js'
import {type Manifest, decodeBase64, isLeaving, keyOf, secretData} from './manifest.js'
import {at, pathOf} from './path.js'
import {parseRecord} from './record.js'
import {decodeRegistration, isRegistration} from './registration.js'
import {externalAddresses, isExternal} from './load-balancer.js'
import {decodeReplicas, decodeReport} from './replica.js'
import {parseRequest} from './request.js'
import {decodeSettings} from './settings.js'
import {decodeTrust} from './trust.js'

/** One thing that an object says. */
export interface Entry {
  readonly subject: Subject
  /** Made of all that it depends on: equal text, equal entry. */
  readonly text: string
  /** @throws AtlasError `invalid` */
  decode(): Change
  /** What it is when the entry is gone. */
  readonly removal: Change
}

/** What an object says; nothing where it isn't one of Atlas's. */
export function entriesOf(manifest: Manifest): readonly Entry[] {
  const key = keyOf(manifest)
  if (isDerived(manifest)) return [derivedEntry(manifest)]
  if (isExternal(manifest)) return [externalEntry(manifest)]
  if (key === REQUESTS) return requestEntries(manifest)
  if (isRegistration(manifest)) return isLeaving(manifest) ? [] : [registrationEntry(manifest)]
  if (identityShards.has(key)) return shardEntries(manifest, identityEntry)
  if (recordShards.has(key)) return shardEntries(manifest, recordEntry)
  const single = singles.get(key) ?? namedSingle(manifest.kind, manifest.metadata.name)
  return single === undefined ? [] : [whole(manifest, single)]
}

/** The change that an entry is: what it says, or why it can't be read. */
export function changeOf(entry: Entry, object: ObjectKey, source: string | undefined): Change {
  try {
    return entry.decode()
  } catch (error) {
    return faultChange(entry.subject, {object, key: pathOf(error, 'metadata'), message: messageOf(error)}, source)
  }
}

export function faultChange(subject: Subject, fault: Fault, source: string | undefined): Change {
  return {kind: 'fault', subject, value: source === undefined ? fault : {...fault, source}}
}

/**
 * What an object that can't be read at all may have said: for a shard, the entries of every owner in it whose entry is not known;
 * so that what is unknown is not taken for missing (promise 6).
 */
export function subjectsOf(object: ObjectKey, fleet: Fleet): readonly Subject[] {
  if (identityShards.has(object)) return ownersIn(object, 'identity', fleet)
  if (recordShards.has(object)) return ownersIn(object, 'record', fleet)
  const single = singles.get(object)
  if (single !== undefined) return [single.subject]
  const [kind, name] = [object.slice(0, object.indexOf('/')), object.slice(object.indexOf('/') + 1)]
  if (kind === UNKNOWN_KIND) return [`object/${object}`, ...missingFrom(fleet)]
  const named = namedSingle(kind, name)
  if (named !== undefined) return [named.subject]
  if (derivedOwner(object) !== undefined && fleet.derived.has(object)) return [`derived/${object}`]
  if (object === REQUESTS) return [...fleet.requests.keys()].map((id): Subject => `request/${id}`)
  // A Service that can't be read may register a cluster only if one of its name has been known, or keys were made for it.
  const isKnown = kind === 'Service' && ownersKnown(fleet).has(name as Owner)
  return isKnown ? [`registration/${name}`] : [`object/${object}`]
}

/** Kind, in an object's key, of what can't be read and of which nobody can tell what it was: `File/notes.yaml`. */
export const UNKNOWN_KIND = 'File'

/** An object that holds one entry. */
interface Single {
  readonly subject: Subject
  readonly decode: (manifest: Manifest) => StoredChange
  readonly removal: StoredChange
}

const singles: ReadonlyMap<ObjectKey, Single> = new Map([
  [
    `ConfigMap/${objectNames.fleet}`,
    {
      subject: 'settings',
      decode: manifest => ({kind: 'settings', value: decodeSettings(manifest)}),
      removal: {kind: 'settings', value: undefined},
    },
  ],
  [
    `ConfigMap/${objectNames.trust}`,
    {subject: 'trust', decode: manifest => ({kind: 'trust', value: decodeTrust(manifest)}), removal: {kind: 'trust', value: undefined}},
  ],
  [
    `ConfigMap/${objectNames.endpoints}`,
    {
      subject: 'endpoints',
      decode: manifest => ({kind: 'endpoints', value: manifest.data?.[ENDPOINTS_KEY]}),
      removal: {kind: 'endpoints', value: undefined},
    },
  ],
  [
    `Secret/${objectNames.server}`,
    {
      subject: 'server',
      decode: manifest => ({kind: 'server', value: decodeSecret(manifest, tlsKeys)}),
      removal: {kind: 'server', value: undefined},
    },
  ],
  [
    `ConfigMap/${objectNames.replicas}`,
    {
      subject: 'replicas',
      decode: manifest => ({kind: 'replicas', value: decodeReplicas(manifest)}),
      removal: {kind: 'replicas', value: undefined},
    },
  ],
  ...(Object.keys(signerNames) as AuthorityPart[]).map((part): [ObjectKey, Single] => [
    `Secret/${signerNames[part]}`,
    {
      subject: `authority/${part}`,
      decode: manifest => ({kind: 'authority', part, value: decodeSecret(manifest, signerKeys)}),
      removal: {kind: 'authority', part, value: undefined},
    },
  ]),
])

const shards = Array.from({length: SHARDS}, (_, shard) => shard)
const identityShards: ReadonlySet<ObjectKey> = new Set(shards.map(shard => `Secret/${objectNames.identities(shard)}`))
const recordShards: ReadonlySet<ObjectKey> = new Set(shards.map(shard => `ConfigMap/${objectNames.records(shard)}`))

function whole(manifest: Manifest, single: Single): Entry {
  return {subject: single.subject, text: textOf(manifest), decode: () => single.decode(manifest), removal: single.removal}
}

function registrationEntry(manifest: Manifest): Entry {
  const {name} = manifest.metadata
  // A Service with an impossible name registers nobody; it is named all the same.
  const subject: Subject = isName(name) ? `registration/${name}` : `object/Service/${name}`
  const decode = (): StoredChange => {
    const cluster = decodeRegistration(manifest)
    return {kind: 'registration', name: cluster.name, value: cluster}
  }

  const removal: Change = isName(name)
    ? {kind: 'registration', name: name as ClusterName, value: undefined}
    : {kind: 'fault', subject, value: undefined}
  return {subject, text: textOf(manifest), decode, removal}
}

/** Of a Service what Atlas owns; the rest is the API server's, and others'. */
function derivedEntry(manifest: Manifest): Entry {
  const object = keyOf(manifest)
  const text = derivedText(manifest)
  return {
    subject: `derived/${object}`,
    text,
    decode: () => ({kind: 'derived', object, value: text}),
    removal: {kind: 'derived', object, value: undefined},
  }
}

function externalEntry(manifest: Manifest): Entry {
  const addresses = externalAddresses(manifest)
  return {
    subject: 'external',
    text: addresses.map(({host}) => host).join(','),
    decode: () => ({kind: 'external', value: addresses}),
    removal: {kind: 'external', value: undefined},
  }
}

function requestEntries(manifest: Manifest): readonly Entry[] {
  return Object.entries(manifest.data ?? {}).map(([id, text]) => ({
    subject: `request/${id}`,
    text,
    decode: () => at(`data.${id}`, () => ({kind: 'request', id, value: parseRequest(text)})),
    removal: {kind: 'request', id, value: undefined},
  }))
}

const REQUESTS: ObjectKey = `ConfigMap/${objectNames.requests}`

/** Objects of which there is one for each owner, each client, or each replica. */
function namedSingle(kind: string, name: string): Single | undefined {
  if (kind === 'Secret') return credentialEntry(name) ?? clientEntry(name)
  return kind === 'ConfigMap' ? reportEntry(name) : undefined
}

function reportEntry(name: string): Single | undefined {
  const prefix = objectNames.report('')
  if (!name.startsWith(prefix) || name.length === prefix.length) return undefined
  const replica = name.slice(prefix.length)
  return {
    subject: `report/${replica}`,
    decode: manifest => ({kind: 'report', replica, value: decodeReport(manifest)}),
    removal: {kind: 'report', replica, value: undefined},
  }
}

function credentialEntry(name: string): Single | undefined {
  const suffix = '-envoy-ads'
  const owner = name.endsWith(suffix) ? ownerOf(name.slice(0, -suffix.length)) : undefined
  if (owner === undefined || objectNames.credential(owner) !== name) return undefined
  return {
    subject: `credential/${owner}`,
    decode: manifest => ({kind: 'credential', owner, value: decodeCredential(manifest)}),
    removal: {kind: 'credential', owner, value: undefined},
  }
}

function clientEntry(name: string): Single | undefined {
  const prefix = 'atlas-client-'
  const client = name.startsWith(prefix) ? attempt(() => parseClientName(name.slice(prefix.length))) : undefined
  if (client === undefined) return undefined
  return {
    subject: `client/${client}`,
    decode: manifest => ({kind: 'client', name: client, value: decodeClient(manifest)}),
    removal: {kind: 'client', name: client, value: undefined},
  }
}

function shardEntries(manifest: Manifest, entry: (owner: Owner, text: string) => Entry): readonly Entry[] {
  const data = manifest.kind === 'Secret' ? secretData(manifest) : (manifest.data ?? {})
  return Object.entries(data).flatMap(([key, text]) => {
    const owner = ownerOf(key)
    if (owner === undefined) return []
    const found = entry(owner, text)
    return [objectOf(found.removal as StoredChange) === keyOf(manifest) ? found : misplaced(manifest, owner)]
  })
}

/** Each owner has one shard: whoever may write another one must not speak for it there. */
function misplaced(manifest: Manifest, owner: Owner): Entry {
  const subject: Subject = `object/${keyOf(manifest)}/${owner}`
  return {
    subject,
    text: owner,
    decode: () =>
      at(`data.${owner}`, () => {
        throw new AtlasError('invalid', 'this entry belongs into another object, so it says nothing here; remove it')
      }),
    removal: {kind: 'fault', subject, value: undefined},
  }
}

function identityEntry(owner: Owner, text: string): Entry {
  return shardEntry({kind: 'identity', owner, value: undefined}, text, () => ({
    kind: 'identity',
    owner,
    value: parseIdentity(decodeBase64(owner, text), `data.${owner}`),
  }))
}

function recordEntry(owner: Owner, text: string): Entry {
  return shardEntry({kind: 'record', owner, value: undefined}, text, () => ({kind: 'record', owner, value: parseRecord(owner, text)}))
}

function shardEntry(removal: Extract<StoredChange, {owner: Owner}>, text: string, parse: () => StoredChange): Entry {
  return {subject: `${removal.kind}/${removal.owner}`, text: short(text), decode: () => at(`data.${removal.owner}`, parse), removal}
}

function ownersIn(object: ObjectKey, kind: 'identity' | 'record', fleet: Fleet): readonly Subject[] {
  return [...ownersKnown(fleet)].filter(owner => shardKey(kind, owner) === object).map((owner): Subject => `${kind}/${owner}`)
}

function shardKey(kind: 'identity' | 'record', owner: Owner): ObjectKey {
  return objectOf(kind === 'identity' ? {kind, owner, value: undefined} : {kind, owner, value: undefined})
}

/** Everybody of whom anything is stored, readable or not. */
function ownersKnown(fleet: Fleet): ReadonlySet<Owner> {
  const broken = [...fleet.faults.keys()].flatMap((subject): Owner[] => {
    const [kind = '', name = ''] = subject.split('/')
    return kind !== '' && kinds.has(kind) ? [name as Owner] : []
  })
  return new Set<Owner>([
    'atlas',
    ...fleet.registrations.keys(),
    ...fleet.records.keys(),
    ...fleet.identities.keys(),
    ...fleet.credentials.keys(),
    ...broken,
  ])
}

const kinds: ReadonlySet<string> = new Set(['credential', 'identity', 'record', 'registration'])

/**
 * What is not there though other objects tell that it was: an object that can't be told may be just that one. Written in the order
 * of `ops/reconcile`: whatever tells of another was written after it.
 */
function missingFrom(fleet: Fleet): readonly Subject[] {
  const {authority, credentials, faults, identities, records, registrations, revisions, server, trust} = fleet
  const missing: Subject[] = []
  const wasSigned = trust !== undefined || identities.size + credentials.size > 0
  for (const part of Object.keys(signerNames) as AuthorityPart[]) if (wasSigned && !authority.has(part)) missing.push(`authority/${part}`)
  if (trust === undefined && identities.size > 0) missing.push('trust')
  if (server === undefined && identities.size > 0) missing.push('server')
  for (const [owner, {registration, suspendedSince, credentials: issued}] of records) {
    const isRegistered = registration !== undefined && suspendedSince === undefined
    if (isRegistered && !registrations.has(registration.name)) missing.push(`registration/${owner}`)
    if (issued.some(({state}) => state === 'valid') && !credentials.has(owner)) missing.push(`credential/${owner}`)
  }

  for (const owner of credentials.keys()) {
    if (!revisions.has(shardKey('record', owner))) missing.push(`record/${owner}`)
    if (!revisions.has(shardKey('identity', owner))) missing.push(`identity/${owner}`)
  }

  return missing.filter(subject => !faults.has(subject))
}

/** `resourceVersion` and the like change without the object's meaning doing so. */
function textOf({metadata: {name, namespace, labels, annotations}, data, stringData, spec, binaryData}: Manifest): string {
  return short(JSON.stringify([name, namespace, labels, annotations, data, stringData, spec, binaryData]))
}

/** Remembered for each of thousands of entries: a long text stands there by its digest. */
function short(text: string): string {
  return text.length <= 64 ? text : createHash('sha256').update(text).digest('base64')
}

function ownerOf(text: string): Owner | undefined {
  return attempt(() => parseOwner(text))
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}

function isName(text: string): boolean {
  const owner = ownerOf(text)
  return owner !== undefined && owner !== 'atlas'
}
