/** Objects -> changes, entry by entry: a broken entry costs itself only, an unchanged one is not looked at again. */
import type {AuthorityPart} from '../model/authority.js'
import type {Change} from '../model/change.js'
import {messageOf} from '../model/errors.js'
import {type Fault, type Fleet, type ObjectKey, type Subject} from '../model/fleet.js'
import {type ClusterName, type Owner, SHARDS, objectNames, parseOwner} from '../model/names.js'
import {type StoredChange, objectOf, signerNames} from './encode.js'
import {decodeCredential, decodeSecret, parseIdentity, signerKeys, tlsKeys} from './keys.js'
import {type Manifest, checkFormat, decodeBase64, keyOf} from './manifest.js'
import {at, placeOf} from './place.js'
import {parseRecord} from './record.js'
import {decodeRegistration, isRegistration} from './registration.js'
import {decodeSettings} from './settings.js'
import {decodeTrust} from './trust.js'

/** One thing that an object says. */
export interface Entry {
  readonly subject: Subject
  /** All that it depends on: equal text, equal entry. */
  readonly text: string
  /** @throws AtlasError `invalid` */
  decode(): StoredChange
  /** What it is when the entry is gone. */
  readonly removal: StoredChange
}

/** What an object says; nothing where it isn't one of Atlas's. */
export function entriesOf(manifest: Manifest): readonly Entry[] {
  const key = keyOf(manifest)
  if (isRegistration(manifest)) return [registrationEntry(manifest)]
  if (identityShards.has(key)) return shardEntries(manifest, identityEntry)
  if (recordShards.has(key)) return shardEntries(manifest, recordEntry)
  const single = singles.get(key) ?? (manifest.kind === 'Secret' ? credentialEntry(manifest.metadata.name) : undefined)
  return single === undefined ? [] : [whole(manifest, single)]
}

/** The change that an entry is: what it says, or why it can't be read. */
export function changeOf(entry: Entry, object: ObjectKey, source: string | undefined): Change {
  try {
    return entry.decode()
  } catch (error) {
    return faultChange(entry.subject, {object, key: placeOf(error, 'metadata'), message: messageOf(error)}, source)
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
  const [kind = '', name = ''] = object.split('/')
  const credential = kind === 'Secret' ? credentialEntry(name) : undefined
  if (credential !== undefined) return [credential.subject]
  // A Service that can't be read may register a cluster only if one of its name has been known, or keys were made for it.
  const isKnown =
    kind === 'Service' &&
    [fleet.records, fleet.credentials, fleet.identities].some(held => (held as ReadonlyMap<string, unknown>).has(name))
  return isKnown ? [`registration/${name}`] : [`object/${object}`]
}

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
      decode: manifest => ({kind: 'endpoints', value: manifest.data?.['endpoints.yaml']}),
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
  const decode = (): StoredChange => {
    at(`metadata.labels`, () => checkFormat(manifest))
    return single.decode(manifest)
  }

  return {subject: single.subject, text: textOf(manifest), decode, removal: single.removal}
}

function registrationEntry(manifest: Manifest): Entry {
  const {name} = manifest.metadata
  // A Service with an impossible name registers nobody; it is named all the same.
  const subject: Subject = isName(name) ? `registration/${name}` : `object/Service/${name}`
  const decode = (): StoredChange => {
    at('metadata.labels', () => checkFormat(manifest))
    const cluster = decodeRegistration(manifest)
    return {kind: 'registration', name: cluster.name, value: cluster}
  }

  return {
    subject,
    text: textOf(manifest),
    decode,
    removal: {kind: 'registration', name: name as ClusterName, value: undefined},
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

function shardEntries(manifest: Manifest, entry: (manifest: Manifest, owner: Owner, text: string) => Entry): readonly Entry[] {
  const data = {
    ...manifest.data,
    ...Object.fromEntries(Object.entries(manifest.stringData ?? {}).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  }
  return Object.entries(data).flatMap(([key, text]) => {
    const owner = ownerOf(key)
    return owner === undefined ? [] : [entry(manifest, owner, text)]
  })
}

function identityEntry(manifest: Manifest, owner: Owner, text: string): Entry {
  return shardEntry(manifest, {kind: 'identity', owner, value: undefined}, text, () => ({
    kind: 'identity',
    owner,
    value: parseIdentity(decodeBase64(owner, text), `data.${owner}`),
  }))
}

function recordEntry(manifest: Manifest, owner: Owner, text: string): Entry {
  return shardEntry(manifest, {kind: 'record', owner, value: undefined}, text, () => ({
    kind: 'record',
    owner,
    value: parseRecord(owner, text),
  }))
}

function shardEntry(manifest: Manifest, removal: Extract<StoredChange, {owner: Owner}>, text: string, parse: () => StoredChange): Entry {
  const decode = (): StoredChange => {
    at('metadata.labels', () => checkFormat(manifest))
    return at(`data.${removal.owner}`, parse)
  }

  return {
    subject: `${removal.kind}/${removal.owner}`,
    text: `${manifest.metadata.labels?.['goatlas.io/format'] ?? ''}\n${text}`,
    decode,
    removal,
  }
}

function ownersIn(object: ObjectKey, kind: 'identity' | 'record', fleet: Fleet): readonly Subject[] {
  const owners = new Set<Owner>([
    'atlas',
    ...fleet.registrations.keys(),
    ...fleet.records.keys(),
    ...fleet.identities.keys(),
    ...fleet.credentials.keys(),
  ])
  return [...owners]
    .filter(owner => objectOf(kind === 'identity' ? {kind, owner, value: undefined} : {kind, owner, value: undefined}) === object)
    .map((owner): Subject => `${kind}/${owner}`)
}

/** `resourceVersion` and the like change without the object's meaning doing so. */
function textOf({metadata: {name, namespace, labels, annotations}, data, stringData, spec}: Manifest): string {
  return JSON.stringify([name, namespace, labels, annotations, data, stringData, spec])
}

function ownerOf(text: string): Owner | undefined {
  try {
    return parseOwner(text)
  } catch {
    return undefined
  }
}

function isName(text: string): boolean {
  const owner = ownerOf(text)
  return owner !== undefined && owner !== 'atlas'
}
