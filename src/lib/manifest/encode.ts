/** Changes -> objects: in which object a change lives, and what that object says after it. */
import {type Change} from '../model/change.js'
import type {AuthorityPart} from '../model/authority.js'
import {AtlasError} from '../model/errors.js'
import type {ObjectKey} from '../model/fleet.js'
import {objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {derivedText, encodeDerived, isDerived} from './derived.js'
import {ENDPOINTS_KEY} from './endpoints.js'
import {encodeSecret, renderIdentity, signerKeys, tlsKeys} from './secrets.js'
import {type Manifest, encodeBase64, frameOf, secretData} from './manifest.js'
import {renderRecord} from './record.js'
import {encodeRegistration} from './registration.js'
import {encodeReplicas, encodeReport} from './replica.js'
import {renderRequest} from './request.js'
import {encodeSettings, settingsKeys} from './settings.js'
import {shardOf} from './shard.js'
import {encodeTrust} from './trust.js'

/** A change that is stored; faults, revisions and load balancers' addresses are what a store tells, never what it is told. */
export type StoredChange = Exclude<Change, {kind: 'external' | 'fault' | 'revision'}>

/** Names of the Secrets that sign. */
export const signerNames: Readonly<Record<AuthorityPart, string>> = {
  root: objectNames.root,
  issuer: objectNames.issuer,
  credentialIssuer: objectNames.credentialIssuer,
}

export function isStored(change: Change): change is StoredChange {
  return change.kind !== 'fault' && change.kind !== 'revision' && change.kind !== 'external'
}

/** Whether the change can be made again from the rest at any time: then whoever else wrote there is written over. */
export function isDerivedChange(change: StoredChange): boolean {
  return change.kind === 'derived' || change.kind === 'endpoints'
}

/** `<kind>/<name>` of the object that a change is written into. */
export function objectOf(change: StoredChange): ObjectKey {
  switch (change.kind) {
    case 'authority': {
      return `Secret/${signerNames[change.part]}`
    }

    case 'client': {
      return `Secret/${objectNames.client(change.name)}`
    }

    case 'credential': {
      return `Secret/${objectNames.credential(change.owner)}`
    }

    case 'derived': {
      return change.object
    }

    case 'endpoints': {
      return `ConfigMap/${objectNames.endpoints}`
    }

    case 'identity': {
      return `Secret/${objectNames.identities(shardOf(change.owner))}`
    }

    case 'record': {
      return `ConfigMap/${objectNames.records(shardOf(change.owner))}`
    }

    case 'registration': {
      return `Service/${objectNames.registration(change.name)}`
    }

    case 'replicas': {
      return `ConfigMap/${objectNames.replicas}`
    }

    case 'report': {
      return `ConfigMap/${objectNames.report(change.replica)}`
    }

    case 'request': {
      return `ConfigMap/${objectNames.requests}`
    }

    case 'server': {
      return `Secret/${objectNames.server}`
    }

    case 'settings': {
      return `ConfigMap/${objectNames.fleet}`
    }

    case 'trust': {
      return `ConfigMap/${objectNames.trust}`
    }
  }
}

/** The namespace that a change's object stands in: what Thanos Query reads stands beside it. */
export function namespaceOf(change: StoredChange, settings: Settings): string {
  return change.kind === 'endpoints' ? settings.thanosNamespace : settings.namespace
}

/**
 * The object after a change; undefined: it is to be deleted. What is in it and isn't Atlas's, or is another entry's, stays.
 * @throws AtlasError `invalid` where the present object can't be read at all
 */
export function encodeOnto(existing: Manifest | undefined, change: StoredChange, namespace: string): Manifest | undefined {
  if (change.kind === 'identity' || change.kind === 'record' || change.kind === 'request') return encodeEntry(existing, change, namespace)
  if (change.value === undefined) return undefined
  if (change.kind === 'derived') return encodeDerivedOnto(existing, change.object, change.value, namespace)
  return encodeWhole(existing, change as Valued, namespace)
}

/** A change of an object that holds nothing else, and is not to be deleted. */
type Valued = Exclude<StoredChange, {kind: 'derived' | 'identity' | 'record' | 'request'}> & {readonly value: object | string}

/** One entry of an object that holds many. */
function encodeEntry(
  existing: Manifest | undefined,
  change: Extract<StoredChange, {kind: 'identity' | 'record' | 'request'}>,
  namespace: string,
): Manifest {
  const name = nameOf(change)
  if (change.kind === 'identity') {
    const text = change.value && encodeBase64(renderIdentity(change.value))
    return encodeShard(existing, ['Secret', name], {[change.owner]: text}, namespace)
  }

  const [key, text] =
    change.kind === 'record'
      ? [change.owner, change.value && renderRecord(change.value)]
      : [change.id, change.value && renderRequest(change.value)]
  return encodeShard(existing, ['ConfigMap', name], {[key]: text}, namespace)
}

/** @throws AtlasError `failed` where somebody else's Service has that name */
function encodeDerivedOnto(existing: Manifest | undefined, object: ObjectKey, text: string, namespace: string): Manifest {
  if (existing?.kind === 'Service' && !isDerived(existing))
    throw new AtlasError('failed', `Service "${existing.metadata.name}" is there already and is somebody else's`, {
      hint: 'Thanos Query needs that name for a replica: rename that Service, or the cluster',
    })
  return existing !== undefined && derivedText(existing) === text ? existing : encodeDerived(object, text, namespace)
}

function encodeWhole(existing: Manifest | undefined, change: Valued, namespace: string): Manifest {
  switch (change.kind) {
    case 'authority': {
      return encodeSecret(
        existing,
        {
          name: nameOf(change),
          type: 'Opaque',
          texts: {[signerKeys.certificate]: change.value.certificate, [signerKeys.key]: change.value.key.reveal()},
        },
        namespace,
      )
    }

    case 'client':
    case 'credential': {
      return encodeSecret(
        existing,
        {
          name: nameOf(change),
          type: 'kubernetes.io/tls',
          texts: {
            [tlsKeys.certificate]: change.value.certificate,
            [tlsKeys.key]: change.value.key.reveal(),
            [tlsKeys.roots]: change.value.roots,
          },
        },
        namespace,
      )
    }

    case 'server': {
      return encodeSecret(
        existing,
        {
          name: nameOf(change),
          type: 'kubernetes.io/tls',
          texts: {[tlsKeys.certificate]: change.value.certificate, [tlsKeys.key]: change.value.key.reveal()},
        },
        namespace,
      )
    }

    case 'endpoints': {
      const manifest = encodeConfigMap(existing, nameOf(change), {[ENDPOINTS_KEY]: change.value}, namespace)
      return {...manifest, metadata: {...manifest.metadata, namespace}}
    }

    case 'replicas': {
      return encodeConfigMap(existing, nameOf(change), encodeReplicas(change.value), namespace)
    }

    case 'report': {
      const {binaryData, data = {}} = encodeReport(change.value)
      return {...encodeConfigMap(existing, nameOf(change), data, namespace), binaryData}
    }

    case 'settings': {
      return encodeFleet(existing, change.value)
    }

    case 'trust': {
      return encodeConfigMap(existing, nameOf(change), encodeTrust(change.value), namespace)
    }

    case 'registration': {
      return encodeRegistration(existing, change.value, namespace)
    }
  }
}

function nameOf(change: StoredChange): string {
  const key = objectOf(change)
  return key.slice(key.indexOf('/') + 1)
}

/** The namespace is a setting, and stands where namespaces stand. A key that isn't of these settings stays. */
function encodeFleet(existing: Manifest | undefined, settings: Settings): Manifest {
  const frame = frameOf(existing, ['ConfigMap', objectNames.fleet], settings.namespace)
  const kept = Object.entries(existing?.data ?? {}).filter(([key]) => !settingsKeys.has(key))
  return {
    ...frame,
    metadata: {...frame.metadata, namespace: settings.namespace},
    data: {...Object.fromEntries(kept), ...encodeSettings(settings)},
  }
}

function encodeConfigMap(
  existing: Manifest | undefined,
  name: string,
  data: Readonly<Record<string, string>>,
  namespace: string,
): Manifest {
  return {...frameOf(existing, ['ConfigMap', name], namespace), data: {...existing?.data, ...data}}
}

/** Entries in order of name; a shard stays when its last entry goes: its next writer needs a revision to write on. */
function encodeShard(
  existing: Manifest | undefined,
  [kind, name]: readonly [string, string],
  entries: Readonly<Record<string, string | undefined>>,
  namespace: string,
): Manifest {
  const present = kind === 'Secret' ? secretData(existing) : existing?.data
  const all = Object.entries({...present, ...entries}).filter((entry): entry is [string, string] => entry[1] !== undefined)
  const data = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)))
  const {stringData: _, ...frame} = frameOf(existing, [kind, name], namespace)
  return kind === 'Secret' ? {...frame, type: 'Opaque', data} : {...frame, data}
}
