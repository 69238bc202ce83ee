/** Changes -> objects: in which object a change lives, and what that object says after it. */
import {type Change} from '../model/change.js'
import type {AuthorityPart} from '../model/authority.js'
import type {ObjectKey} from '../model/fleet.js'
import {objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {encodeSecret, renderIdentity, signerKeys, tlsKeys} from './keys.js'
import {type Manifest, encodeBase64, frameOf, secretData} from './manifest.js'
import {renderRecord} from './record.js'
import {encodeRegistration} from './registration.js'
import {encodeSettings, settingsKeys} from './settings.js'
import {shardOf} from './shard.js'
import {encodeTrust} from './trust.js'

/** A change that is stored; faults and revisions are what a store tells, never what it is told. */
export type StoredChange = Exclude<Change, {kind: 'fault' | 'revision'}>

/** Names of the Secrets that sign. */
export const signerNames: Readonly<Record<AuthorityPart, string>> = {
  root: objectNames.root,
  issuer: objectNames.issuer,
  credentialIssuer: objectNames.credentialIssuer,
}

export function isStored(change: Change): change is StoredChange {
  return change.kind !== 'fault' && change.kind !== 'revision'
}

/** `<kind>/<name>` of the object that a change is written into. */
export function objectOf(change: StoredChange): ObjectKey {
  switch (change.kind) {
    case 'authority': {
      return `Secret/${signerNames[change.part]}`
    }

    case 'credential': {
      return `Secret/${objectNames.credential(change.owner)}`
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
  if (change.kind === 'identity')
    return encodeShard(
      existing,
      ['Secret', nameOf(change)],
      {[change.owner]: change.value === undefined ? undefined : encodeBase64(renderIdentity(change.value))},
      namespace,
    )
  if (change.kind === 'record')
    return encodeShard(
      existing,
      ['ConfigMap', nameOf(change)],
      {[change.owner]: change.value === undefined ? undefined : renderRecord(change.value)},
      namespace,
    )
  if (change.value === undefined) return undefined
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
      const manifest = encodeConfigMap(existing, nameOf(change), {'endpoints.yaml': change.value}, namespace)
      return {...manifest, metadata: {...manifest.metadata, namespace}}
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
