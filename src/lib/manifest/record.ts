/** An entry of the record shards: what is remembered of a cluster, as JSON. */
import type {CredentialRecord, DeniedName, OwnerRecord} from '../model/authority.js'
import type {Cluster} from '../model/cluster.js'
import {AtlasError, quote} from '../model/errors.js'
import type {Owner} from '../model/names.js'
import {type Manifest, parseManifest} from './manifest.js'
import {at} from './path.js'
import {decodeRegistration, encodeRegistration} from './registration.js'

/** More revocations than any cluster sees; certificate names are read up to a generation of nine digits. */
const GENERATION_MAX = 1_000_000

/** The registration stands in it as the labels and annotations of its Service: one way of writing, one of reading. */
export function renderRecord(record: OwnerRecord): string {
  const {generation, suspendedSince, registration, credentials, denied} = record
  const metadata = registration === undefined ? undefined : encodeRegistration(undefined, registration, '').metadata
  const value = {
    generation,
    ...(suspendedSince !== undefined && {suspendedSince}),
    ...(metadata !== undefined && {registration: {labels: metadata.labels, annotations: metadata.annotations}}),
    credentials,
    denied,
  }
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** @throws AtlasError `invalid` */
export function parseRecord(owner: Owner, text: string): OwnerRecord {
  const value = parseObject(text, 'the record')
  const {generation, suspendedSince, registration} = value
  if (typeof generation !== 'number' || !Number.isInteger(generation) || generation < 1 || generation > GENERATION_MAX)
    throw new AtlasError('invalid', `generation must be a whole number from 1 to ${GENERATION_MAX}; got ${found(generation)}`)
  return {
    owner,
    generation,
    ...(suspendedSince !== undefined && {suspendedSince: time(suspendedSince, 'suspendedSince')}),
    ...(registration !== undefined && {registration: parseRegistration(owner, registration)}),
    credentials: list(value['credentials'], 'credentials').map(entry => parseCredential(entry)),
    denied: list(value['denied'], 'denied').map(entry => parseDenied(owner, entry)),
  }
}

function parseRegistration(owner: Owner, value: unknown): Cluster {
  return at('registration', () => {
    if (!isRecord(value)) throw new AtlasError('invalid', 'registration must hold labels and annotations')
    const manifest: Manifest = parseManifest({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {name: owner, labels: value['labels'], annotations: value['annotations']},
    })
    return decodeRegistration(manifest)
  })
}

function parseCredential(value: Readonly<Record<string, unknown>>): CredentialRecord {
  const {state} = value
  if (state !== 'valid' && state !== 'revoked')
    throw new AtlasError('invalid', `credentials[].state must be valid or revoked; got ${found(state)}`)
  return {
    sha256: hex(value['sha256'], 'credentials[].sha256'),
    serial: hex(value['serial'], 'credentials[].serial'),
    notAfter: time(value['notAfter'], 'credentials[].notAfter'),
    rootsDigest: hex(value['rootsDigest'], 'credentials[].rootsDigest'),
    state,
  }
}

/** A record denies its own owner's names alone: one that is wrong must not shut others out. */
function parseDenied(owner: Owner, value: Readonly<Record<string, unknown>>): DeniedName {
  const {name} = value
  const [domain, kind, whose, generation, ...rest] = typeof name === 'string' ? name.replace(/^spiffe:\/\//, '').split('/') : []
  const isOwn = (kind === 'downstream' || kind === 'ads-client') && whose === owner && /^[1-9][0-9]{0,8}$/.test(generation ?? '')
  if (typeof name !== 'string' || !/^spiffe:\/\/[!-~]{1,2048}$/.test(name) || domain === '' || !isOwn || rest.length > 0)
    throw new AtlasError(
      'invalid',
      `denied[].name must be a name of ${owner}, such as spiffe://…/ads-client/${owner}/1; got ${found(name)}`,
    )
  return {name, until: time(value['until'], 'denied[].until')}
}

function parseObject(text: string, what: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new AtlasError('invalid', `${what} must be JSON; it does not parse`)
  }

  if (!isRecord(value)) throw new AtlasError('invalid', `${what} must be a JSON object`)
  return value
}

function list(value: unknown, what: string): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(value) || !value.every(entry => isRecord(entry))) throw new AtlasError('invalid', `${what} must be a list of objects`)
  return value
}

function hex(value: unknown, what: string): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{1,128}$/.test(value))
    throw new AtlasError('invalid', `${what} must be lower-case hex; got ${found(value)}`)
  return value
}

const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$/

function time(value: unknown, what: string): string {
  const parsed = typeof value === 'string' && TIME.test(value) ? new Date(value) : undefined
  // A day that its month does not have is taken for one of the next month.
  if (parsed === undefined || Number.isNaN(parsed.getTime()) || parsed.toISOString().slice(0, 10) !== String(value).slice(0, 10))
    throw new AtlasError('invalid', `${what} must be a time such as 2026-11-24T00:00:00.000Z; got ${found(value)}`)
  return parsed.toISOString()
}

/** What stands there, for a message. */
function found(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? quote(String(value)) : 'something else'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
