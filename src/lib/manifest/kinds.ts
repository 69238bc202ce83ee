/**
 * The table of what is stored: for each kind of change the objects that hold it, how it is written there and read from there, and what
 * its writing waits for. A new kind is one row here, and one in model/kinds.ts. Faults and revisions are reported by a store itself.
 */
import {renderHostPort} from '../model/address.js'
import {type Alertmanager, parseAlertmanagers} from '../model/alertmanager.js'
import {type AuthorityPart, type NextPart, authorityParts, nextParts} from '../model/authority.js'
import {type ObjectKey, mentionedOwners} from '../model/fleet.js'
import {type EntryKind, type ValueOf, changeOf} from '../model/kinds.js'
import {type Owner, SHARDS, derivedOwner, objectKey, objectNames, ownerIn, parseObjectKey} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {derivedText, encodeDerivedOnto, isDerived, removeDerived} from './derived.js'
import {decodeEndpoints, encodeEndpoints} from './endpoints-object.js'
import {type Layout, type Target, alone, among, encodeConfigMap, entryOf, objectsNamed, shardOf, strayEntry, textOf} from './layout.js'
import {externalAddresses, isExternal} from './load-balancer.js'
import {type Manifest, frameOf, isLeaving, keyOf} from './manifest.js'
import {decodeOfferedRoot, isOfferedRoot} from './offered-root.js'
import {at} from './path.js'
import {parseRecord, renderRecord} from './record.js'
import {decodeRegistration, encodeRegistration, isRegistration} from './registration.js'
import {decodeReplicas, decodeReport, encodeReplicas, encodeReport} from './report.js'
import {parseAnswer, parseRequest, renderAnswer, renderRequest} from './request.js'
import {decodeRotation, encodeRotation} from './rotation.js'
import {
  decodeClient,
  decodeCredential,
  decodeServer,
  decodeSigner,
  encodeSigner,
  encodeTls,
  parseIdentity,
  renderIdentity,
} from './secrets.js'
import {decodeSettings, encodeFleet} from './settings.js'
import {decodeTrust, encodeTrust} from './trust.js'

/** Kinds that are read from objects and never written. */
type ObservedKind = 'external' | 'offeredRoot'
export type StoredKind = Exclude<EntryKind, ObservedKind>

/** The row of one kind. */
export type Row<K extends EntryKind = EntryKind> = Layout<K> & {
  /**
   * `derived`: it can be made again from the rest at any time, so it replaces anything that another writer has put there; `stored`:
   * it is written only over what the plan was made on; `observed`: it is never written.
   */
  readonly is: K extends ObservedKind ? 'observed' : 'derived' | 'stored'
  /** Changes of one owner are written in order, and those of `all` after everything before them. */
  owners(name: string, value: ValueOf<K> | undefined): 'all' | readonly string[]
  /** The namespace of its objects, where that is not Atlas's. */
  namespace?(settings: Settings): string
  /** Nothing that follows can be used without it: a commit that can't write it ends there. */
  readonly isNeededByAll?: true
  /** With owners `all` it is about all of them, so it is not written while a change of any owner is left out. */
  readonly waitsForAll?: true
}

const REQUESTS = objectKey('ConfigMap', objectNames.requests)
const ANSWERS = objectKey('ConfigMap', objectNames.answers)
const signingParts = [...authorityParts, ...Object.values(nextParts)]
const all = (): 'all' => 'all'
const own = (owner: string): readonly string[] => [owner]

/** The first row that finds an entry in an object is the only one that counts: a sidecar's Service never registers a cluster. */
export const entryKinds: {readonly [K in EntryKind]: Row<K>} = {
  alertmanagers: {
    is: 'stored',
    owners: all,
    ...alone('alertmanagers', objectsNamed('ConfigMap', objectNames.alertmanagers), {
      decode: ({data}) => at('data', () => parseAlertmanagers(data ?? {})),
      encode: encodeAlertmanagers,
    }),
  },
  answer: {
    is: 'stored',
    waitsForAll: true,
    owners: (_, answer) => (answer === undefined || answer.owners.length === 0 ? 'all' : answer.owners),
    ...among('answer', {
      objects: [ANSWERS],
      object: () => ANSWERS,
      isName: () => true,
      parse: (_, text) => parseAnswer(text),
      render: renderAnswer,
      known: fleet => fleet.answers.keys(),
    }),
  },
  authority: {
    is: 'stored',
    owners: all,
    isNeededByAll: true,
    ...alone(
      'authority',
      {
        object: part => objectKey('Secret', objectNames[part as AuthorityPart | NextPart]),
        nameIn: key => signingParts.find(part => objectKey('Secret', objectNames[part]) === key),
      },
      {decode: decodeSigner, encode: encodeSigner},
    ),
  },
  client: {
    is: 'stored',
    owners: name => [`client/${name}`],
    ...alone('client', objectsNamed('Secret', objectNames.client), {decode: decodeClient, encode: encodeTls}),
  },
  credential: {
    is: 'stored',
    owners: own,
    ...alone('credential', objectsNamed('Secret', objectNames.credential), {decode: decodeCredential, encode: encodeTls}),
  },
  derived: {
    is: 'derived',
    owners(object) {
      const owner = derivedOwner(object)
      return owner === undefined || owner === 'zone' ? 'all' : [owner]
    },
    isShared: false,
    object: object => object,
    entries: manifest =>
      isDerived(manifest) ? [entryOf('derived', keyOf(manifest), derivedText(manifest), () => derivedText(manifest))] : undefined,
    suspects: (key, fleet) => (fleet.derived.has(key) ? [key] : undefined),
    encode: (existing, {name, value}, namespace) =>
      value === undefined ? removeDerived(existing) : encodeDerivedOnto({existing, key: name, namespace}, value),
  },
  endpoints: {
    is: 'derived',
    owners: all,
    namespace: settings => settings.thanosNamespace,
    ...alone('endpoints', objectsNamed('ConfigMap', objectNames.endpoints), {decode: decodeEndpoints, encode: encodeEndpoints}),
  },
  external: {
    is: 'observed',
    owners: all,
    isShared: false,
    object: () => '',
    entries(manifest) {
      if (!isExternal(manifest)) return undefined
      const addresses = externalAddresses(manifest)
      return [entryOf('external', '', addresses.map(({host}) => host).join(','), () => addresses)]
    },
    suspects: () => undefined,
    encode: () => undefined,
  },
  groupEndpoints: {
    is: 'derived',
    owners: all,
    namespace: settings => settings.thanosNamespace,
    ...alone('groupEndpoints', objectsNamed('ConfigMap', objectNames.groupEndpoints), {decode: decodeEndpoints, encode: encodeEndpoints}),
  },
  identity: {
    is: 'stored',
    owners: own,
    ...among('identity', {
      ...sharded('Secret', objectNames.identities),
      parse: (owner, text) => parseIdentity(text, `data.${owner}`),
      render: renderIdentity,
    }),
  },
  offeredRoot: {
    is: 'observed',
    owners: all,
    isShared: false,
    object: secret => objectKey('Secret', secret),
    entries(manifest) {
      if (!isOfferedRoot(manifest)) return undefined
      if (isLeaving(manifest)) return []
      return [entryOf('offeredRoot', manifest.metadata.name, textOf(manifest), () => decodeOfferedRoot(manifest))]
    },
    suspects: () => undefined,
    encode: () => undefined,
  },
  record: {
    is: 'stored',
    owners: own,
    ...among('record', {
      ...sharded('ConfigMap', objectNames.records),
      parse: (owner, text) => parseRecord(owner as Owner, text),
      render: renderRecord,
    }),
  },
  registration: {
    is: 'stored',
    owners: own,
    ...alone('registration', objectsNamed('Service', objectNames.registration), {
      decode: decodeRegistration,
      encode: (cluster, {existing, namespace}) => encodeRegistration(existing, cluster, namespace),
    }),
    entries(manifest) {
      if (!isRegistration(manifest) || isDerived(manifest) || isExternal(manifest)) return undefined
      const {name} = manifest.metadata
      if (isLeaving(manifest)) return []
      if (objectNames.registration.parse(name) !== undefined)
        return [entryOf('registration', name, textOf(manifest), () => decodeRegistration(manifest))]
      // A Service with an impossible name registers no cluster; `status` names it all the same.
      return [strayEntry(keyOf(manifest), textOf(manifest), () => changeOf('registration', name, decodeRegistration(manifest)))]
    },
    // A Service that can't be read may register a cluster only if one of its name has been known, or keys were made for it.
    suspects(key, fleet) {
      const {kind, name} = parseObjectKey(key)
      return kind === 'Service' && mentionedOwners(fleet).has(name as Owner) ? [name] : undefined
    },
  },
  replicas: {
    is: 'stored',
    owners: all,
    ...alone('replicas', objectsNamed('ConfigMap', objectNames.replicas), {
      decode: decodeReplicas,
      encode: (living, target) => encodeConfigMap(target, encodeReplicas(living)),
    }),
  },
  report: {
    is: 'stored',
    owners: all,
    ...alone('report', objectsNamed('ConfigMap', objectNames.report), {
      decode: decodeReport,
      encode(report, target) {
        const {binaryData, data} = encodeReport(report)
        return {...encodeConfigMap(target, data), binaryData}
      },
    }),
  },
  request: {
    is: 'stored',
    waitsForAll: true,
    owners: (_, request) => (request === undefined || request.owners.length === 0 ? 'all' : request.owners),
    ...among('request', {
      objects: [REQUESTS],
      object: () => REQUESTS,
      isName: () => true,
      parse: (_, text) => parseRequest(text),
      render: renderRequest,
      known: fleet => fleet.requests.keys(),
    }),
  },
  rotation: {
    is: 'stored',
    owners: all,
    isNeededByAll: true,
    ...alone('rotation', objectsNamed('ConfigMap', objectNames.rotation), {
      decode: decodeRotation,
      encode: (rotation, target) => encodeConfigMap(target, encodeRotation(rotation)),
    }),
  },
  server: {
    is: 'stored',
    owners: all,
    ...alone('server', objectsNamed('Secret', objectNames.server), {decode: decodeServer, encode: encodeTls}),
  },
  settings: {
    is: 'stored',
    owners: all,
    isNeededByAll: true,
    ...alone('settings', objectsNamed('ConfigMap', objectNames.fleet), {decode: decodeSettings, encode: encodeFleet}),
  },
  trust: {
    is: 'stored',
    owners: all,
    isNeededByAll: true,
    ...alone('trust', objectsNamed('ConfigMap', objectNames.trust), {
      decode: decodeTrust,
      encode: (trust, target) => encodeConfigMap(target, encodeTrust(trust)),
    }),
  },
}

/** A key for each Alertmanager; the ConfigMap holds nothing else. */
function encodeAlertmanagers(found: readonly Alertmanager[], {existing, name, namespace}: Target): Manifest {
  const data = Object.fromEntries(found.map(each => [each.name, renderHostPort(each)]))
  return {...frameOf(existing, ['ConfigMap', name], namespace), data}
}

/** The key of the object that holds an entry; `name` is empty where the fleet holds one value of the kind. */
export function objectKeyOf(kind: EntryKind, name = ''): ObjectKey {
  return entryKinds[kind].object(name)
}

/** An object for each shard of owners. */
function sharded(kind: 'ConfigMap' | 'Secret', name: (shard: number) => string) {
  const objects = Array.from({length: SHARDS}, (_, shard) => objectKey(kind, name(shard)))
  return {
    objects,
    object: (owner: string): ObjectKey => objectKey(kind, name(shardOf(owner))),
    isName: (key: string): boolean => ownerIn(key) !== undefined,
    known: mentionedOwners,
  }
}
