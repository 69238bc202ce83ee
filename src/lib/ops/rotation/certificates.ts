/** Every certificate of an installation as `atlas rotate --status` shows it: whose, from when until when, when it is renewed, and whether its proxies have it. */
import type {CredentialRecord} from '../../model/authority.js'
import {type Fleet, recordOf, servedNames} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import type {Rotation} from '../../model/rotation.js'
import {identitySecret} from '../../envoy/secret.js'
import {type CertificateFacts, readCertificates, readKey} from '../../pki/read.js'
import {isMadeByAtlas} from '../../pki/root-names.js'
import {BACKDATED} from '../../pki/rotation.js'
import type {ReportSource} from '../server-reports.js'
import {type Holders, type HoldersOf, holdersIn} from './holders.js'

export type CertificateKind = 'client' | 'credential' | 'credential issuer' | 'identity' | 'issuer' | 'root' | 'server'

/** Times are ISO 8601, UTC. What the caller may not read is absent. */
export interface CertificateRow {
  readonly kind: CertificateKind
  /** A cluster, `atlas`, or a client; `-` for a certificate that signs. */
  readonly owner: string
  /** Of two certificates of one kind that are trusted during a rotation: which one does not sign. */
  readonly role?: 'former' | 'next'
  /** Lower-case hex. */
  readonly serial?: string
  readonly generation?: number
  readonly from?: string
  readonly until?: string
  /** Of one that signs. */
  readonly subject?: string
  /** Of a root: whether Atlas has made it, or it came from outside. */
  readonly origin?: 'atlas' | 'outside'
  /** Of a root: whether its key is kept offline; absent where that is not known. */
  readonly key?: 'offline' | 'stored'
  /** The subject of the certificate that signed it. */
  readonly issuer?: string
  /** From when on it is replaced; a root is replaced by a person. */
  readonly renewedFrom?: string
  /** Of a leaf: which of the owner's connected Envoys have this very certificate. Of one that signs: which of all connected Envoys trust it. */
  readonly proxies?: Holders
  /** Of the certificate of the servers: how many of them show it, and how many have said what they show. */
  readonly servers?: {readonly having: number; readonly reporting: number}
}

export interface RotationStatus {
  readonly rotation?: Rotation
  readonly certificates: readonly CertificateRow[]
}

/**
 * @param sources the newest reports of servers; none: what Envoys have is not known
 * @param offline SHA-256 of the roots whose keys are kept offline; undefined: not known
 */
export function rotationStatus(fleet: Fleet, sources: readonly ReportSource[], offline?: readonly string[]): RotationStatus {
  const owners: readonly Owner[] = [OBSERVABILITY, ...servedNames(fleet)]
  const holders = holdersIn(fleet, sources)
  return {
    ...(fleet.rotation !== undefined && {rotation: fleet.rotation}),
    certificates: [
      ...signing(fleet, holders, offline),
      ...owners.flatMap(owner => leavesOf(fleet, owner, holders)),
      ...others(fleet, holders),
    ],
  }
}

/** Those in force by the trust bundle, which every account that may list clusters can read. */
function signing({trust, rotation}: Fleet, holders: HoldersOf, offline: readonly string[] | undefined): readonly CertificateRow[] {
  if (trust === undefined) return []
  const factsIn = (certificates: readonly string[]): readonly CertificateFacts[] => certificates.flatMap(pem => readCertificates(pem))
  const [roots, issuers] = [factsIn(trust.roots), factsIn(trust.issuers)]
  const isOffline = ({sha256}: CertificateFacts): boolean => offline?.includes(sha256) === true
  // A root that is the issuer itself has its key there. The key of a former root is nowhere any more, or never was here.
  const keyOf = (root: CertificateFacts, role: CertificateRow['role']): Pick<CertificateRow, 'key'> =>
    role !== 'former' && issuers.some(({sha256}) => sha256 === root.sha256)
      ? {key: 'stored'}
      : offline === undefined || role === 'former'
        ? {}
        : {key: isOffline(root) ? 'offline' : 'stored'}
  const rows = (
    kind: CertificateKind,
    certificates: readonly CertificateFacts[],
    more: (facts: CertificateFacts, role: CertificateRow['role']) => Partial<CertificateRow>,
  ): readonly CertificateRow[] =>
    certificates.map((facts, index) => {
      const role = roleOf(kind, certificates.length, index, rotation)
      return {
        ...{kind, owner: '-', ...role, ...datesOf(facts, undefined)},
        ...{subject: facts.subject, issuer: facts.issuer, ...more(facts, role.role)},
      }
    })
  return [
    ...rows('root', roots, (root, role) => ({
      ...{origin: isMadeByAtlas(root) ? 'atlas' : 'outside', ...keyOf(root, role)},
      ...hadBy(holders.ofRoot(root)),
    })),
    ...rows('issuer', issuers, issuer => ({
      ...(roots.some(root => root.subject === issuer.issuer && isOffline(root)) ? {} : datesOf(issuer, TWO_THIRDS)),
      ...hadBy(holders.ofIssuers()),
    })),
    ...rows('credential issuer', factsIn(trust.credentialIssuers), () => hadBy(holders.ofCredentialIssuers())),
  ]
}

function hadBy(proxies: Holders | undefined): Pick<CertificateRow, 'proxies'> {
  return proxies === undefined ? {} : {proxies}
}

/** The bundle has the oldest certificate first. */
function roleOf(kind: CertificateKind, count: number, index: number, rotation: Rotation | undefined): Pick<CertificateRow, 'role'> {
  if (rotation === undefined || count < 2) return {}
  const hasChanged =
    rotation.stage === 'leaves' || rotation.stage === 'retire' || (rotation.stage === 'credentials' && kind === 'credential issuer')
  if (hasChanged) return index < count - 1 ? {role: 'former'} : {}
  return index === count - 1 ? {role: 'next'} : {}
}

function leavesOf(fleet: Fleet, owner: Owner, holders: HoldersOf): readonly CertificateRow[] {
  const {generation} = recordOf(fleet, owner)
  const identity = fleet.identities.get(owner)
  const facts = identity && readKey(identity)
  const [reported] = holders
    .ownProxies(owner)
    .flatMap(({identity: known}) => known?.notAfter ?? [])
    .sort()
  const version = identity && identitySecret(identity).version
  const having = version === undefined ? undefined : holders.ofLeaf(owner, proxy => proxy.identity?.version === version)
  return [
    {
      ...{kind: 'identity', owner, generation},
      ...(facts === undefined ? (reported === undefined ? {} : {until: reported}) : {...datesOf(facts, TWO_THIRDS), issuer: facts.issuer}),
      ...hadBy(having),
    },
    ...credentialRow(fleet, owner, holders),
  ]
}

/** The newest credential of an owner. */
function credentialRow(fleet: Fleet, owner: Owner, holders: HoldersOf): readonly CertificateRow[] {
  const {generation, credentials} = recordOf(fleet, owner)
  const newest = credentials.filter(({state}) => state === 'valid').reduce<CredentialRecord | undefined>(later, undefined)
  if (newest === undefined) return []
  const {serial, notBefore, notAfter, sha256} = newest
  // Only accounts that may read the Secret see who signed it: its record does not say so.
  const stored = fleet.credentials.get(owner)
  const facts = stored && readKey(stored)
  return [
    {
      ...{kind: 'credential', owner, serial, generation, until: notAfter},
      ...(facts?.sha256 === sha256 && {issuer: facts.issuer}),
      ...(notBefore !== undefined && {from: notBefore, renewedFrom: renewedFrom(notBefore, notAfter, HALF)}),
      ...hadBy(holders.ofLeaf(owner, ({credential}) => credential.sha256 === sha256)),
    },
  ]
}

function later(a: CredentialRecord | undefined, b: CredentialRecord): CredentialRecord {
  return a !== undefined && (a.notBefore ?? '') > (b.notBefore ?? '') ? a : b
}

function others(fleet: Fleet, holders: HoldersOf): readonly CertificateRow[] {
  const server = fleet.server && readKey(fleet.server)
  const servers = server && holders.ofServer(server.sha256)
  return [
    ...(server === undefined
      ? []
      : [
          {
            ...{kind: 'server' as const, owner: OBSERVABILITY, ...datesOf(server, TWO_THIRDS), issuer: server.issuer},
            ...(servers !== undefined && {servers}),
          },
        ]),
    ...[...fleet.clients].map(([owner, key]) => {
      const facts = readKey(key)
      return {kind: 'client' as const, owner, ...datesOf(facts, TWO_THIRDS), issuer: facts.issuer}
    }),
  ]
}

/** The parts of their lives after which certificates are renewed (pki/certificate-specs.ts), before jitter. */
const [TWO_THIRDS, HALF] = [2 / 3, 1 / 2]

function datesOf(
  {serial, notBefore, notAfter}: CertificateFacts,
  part: number | undefined,
): Pick<CertificateRow, 'from' | 'renewedFrom' | 'serial' | 'until'> {
  const [from, until] = [notBefore.toISOString(), notAfter.toISOString()]
  return {serial, from, until, ...(part !== undefined && {renewedFrom: renewedFrom(from, until, part)})}
}

function renewedFrom(from: string, until: string, part: number): string {
  const begin = Date.parse(from) + BACKDATED * 1000
  return new Date(begin + (Date.parse(until) - begin) * part).toISOString()
}
