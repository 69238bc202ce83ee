/** An entry of the record shards: what is remembered of a cluster, as JSON. */
import type {CredentialRecord, DeniedName, OwnerRecord} from '../model/authority.js'
import type {Cluster} from '../model/cluster.js'
import {type Owner, generationIn} from '../model/names.js'
import {type Fields, choiceIn, fieldsIn, listIn, optional, parseJson, textIn, timeIn, wholeIn, wrong} from './json.js'
import {parseManifest} from './manifest.js'
import {at} from './path.js'
import {decodeAccepted, encodeRegistration} from './registration.js'

/** A record with a higher generation is refused; no cluster is revoked as often. */
export const GENERATION_MAX = 1_000_000

/** The registration is written as the labels and annotations of its Service, so that it is read the same way. */
export function renderRecord(record: OwnerRecord): string {
  const {generation, suspendedSince, revokedSince, registration, removing, credentials, denied} = record
  const metadata = registration === undefined ? undefined : encodeRegistration(undefined, registration, '').metadata
  const value = {
    generation,
    ...(suspendedSince !== undefined && {suspendedSince}),
    ...(revokedSince !== undefined && {revokedSince}),
    ...(metadata !== undefined && {registration: {labels: metadata.labels, annotations: metadata.annotations}}),
    ...(removing !== undefined && {removing}),
    credentials,
    denied,
  }
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** @throws AtlasError `invalid` */
export function parseRecord(owner: Owner, text: string): OwnerRecord {
  const fields = parseJson(text, 'the record')
  return {
    owner,
    generation: wholeIn(fields['generation'], 'generation', [1, GENERATION_MAX]),
    ...optional(fields, 'suspendedSince', timeIn),
    ...optional(fields, 'revokedSince', timeIn),
    ...optional(fields, 'registration', value => parseRegistration(owner, value)),
    ...optional(fields, 'removing', (value, what) => textIn(value, what).slice(0, 200)),
    credentials: listIn(fields['credentials'], 'credentials', parseCredential),
    denied: listIn(fields['denied'], 'denied', (entry, what) => parseDenied(owner, fieldsIn(entry, what))),
  }
}

function parseRegistration(owner: Owner, value: unknown): Cluster {
  return at('registration', () => {
    const {labels, annotations} = fieldsIn(value, 'registration')
    return decodeAccepted(parseManifest({apiVersion: 'v1', kind: 'Service', metadata: {name: owner, labels, annotations}}))
  })
}

function parseCredential(entry: unknown, what: string): CredentialRecord {
  const fields = fieldsIn(entry, what)
  return {
    sha256: hexIn(fields['sha256'], `${what}.sha256`),
    serial: hexIn(fields['serial'], `${what}.serial`),
    ...optional(fields, 'notBefore', timeIn),
    notAfter: timeIn(fields['notAfter'], `${what}.notAfter`),
    rootsDigest: hexIn(fields['rootsDigest'], `${what}.rootsDigest`),
    state: choiceIn(fields['state'], `${what}.state`, ['valid', 'revoked']),
    ...optional(fields, 'supersededSince', timeIn),
    ...optional(fields, 'retiredAt', timeIn),
  }
}

/** A record denies only its own owner's names: a wrong record must not cut off other clusters. */
function parseDenied(owner: Owner, fields: Fields): DeniedName {
  const name = textIn(fields['name'], 'denied[].name')
  const domain = /^spiffe:\/\/([!-.0-~]{1,255})\//.exec(name)?.[1]
  if (domain === undefined || generationIn(name, domain, owner) === undefined)
    throw wrong('denied[].name', `a name of ${owner}, such as spiffe://…/ads-client/${owner}/1`, name)
  return {name, until: timeIn(fields['until'], 'denied[].until')}
}

function hexIn(value: unknown, what: string): string {
  const text = textIn(value, what)
  if (!/^[0-9a-f]{1,128}$/.test(text)) throw wrong(what, 'lower-case hex', value)
  return text
}
