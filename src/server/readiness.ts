/** Whether this server is ready, why it is not, and what is wrong although it is: the answer of /readyz, and a part of /status. */
import type {Fleet} from '../lib/model/fleet.js'
import type {Readiness} from '../lib/model/report.js'
import type {ServerRole} from '../lib/store/store.js'
import type {Clock} from '../lib/ops/dependencies.js'
import {ASK_FOR_AGAIN, boundIssuers} from '../lib/ops/rotation/brought-again.js'
import {refusedOffer} from '../lib/ops/rotation/offered.js'
import {ASK_FOR_ISSUER, isRootOffline, partNames, unsignedReasons} from '../lib/ops/signing.js'
import {type AuthorityPart, authorityParts} from '../lib/model/authority.js'
import {BRING_BOTH} from '../lib/pki/import-issuer.js'
import {type CertificateFacts, readKey} from '../lib/pki/read.js'
import type {CurrentFleet} from './fleet/current-fleet.js'

/** `starting` until the store was read and ADS is answered. */
export type Phase = 'serving' | 'starting' | 'stopping'

/** Milliseconds. */
export interface ReadinessTimes {
  /** A store that has sent nothing for longer than this is warned of; a watch sends something every minute. */
  readonly silenceMs: number
}

export const defaultReadinessTimes: ReadinessTimes = {silenceMs: 90_000}

/** What readiness depends on, as of now. */
export interface ReadinessFacts {
  readonly role: ServerRole
  readonly phase: Phase
  readonly fleet: CurrentFleet
  /** When the store last sent anything, milliseconds of `performance.now`; undefined: it is always at hand. */
  readonly storeHeardAt: number | undefined
  /** Whether this server answers ADS, as its role asks, and has no certificate for it. */
  readonly lacksCertificate: boolean
  /** What else is wrong, one warning each. */
  readonly problems: readonly (string | undefined)[]
  readonly clock: Clock
  readonly times: ReadinessTimes
}

/** One line for each reason and warning. */
export function readinessOf(facts: ReadinessFacts): Readiness {
  const reasons = [...reasonsOf(facts)]
  return {ready: reasons.length === 0, reasons, warnings: facts.fleet.isKnown() ? [...warningsOf(facts)] : []}
}

function* reasonsOf({phase, fleet, lacksCertificate}: ReadinessFacts): Iterable<string> {
  const failure = fleet.firstReadFailure()
  if (!fleet.isKnown()) yield failure === undefined ? 'the store has not been read yet' : `waiting for the store: ${failure}`
  else if (lacksCertificate) yield 'there is no certificate to serve with yet; the leader issues it'
  else if (phase === 'starting') yield 'the server is still starting'
  if (phase === 'stopping') yield 'the server is stopping'
}

function* warningsOf({role, fleet, storeHeardAt, problems, clock, times}: ReadinessFacts): Iterable<string> {
  const silence = storeHeardAt === undefined ? 0 : performance.now() - storeHeardAt
  if (!fleet.isReachable()) yield 'the store can not be read; serving the last known fleet'
  else if (silence > times.silenceMs) yield `the store has not answered for ${Math.round(silence / 1000)} s; serving the last known fleet`
  const doubt = clock.clockDoubt?.()
  if (doubt !== undefined) yield doubt
  // A server of role ads may not read the signing keys, and does not know whether they are there. By a wrong clock they may seem to have ended.
  else if (role !== 'ads') yield* signingWarnings(fleet.served(), clock)
  yield* problems.filter(problem => problem !== undefined)
}

/** Of the parts of their lives that signing certificates have lived: from when on a person is needed, since what they sign ends with them. */
const warnedFrom = {root: 2 / 3, credentialIssuer: 2 / 3, issuer: 5 / 6} as const satisfies Record<AuthorityPart, number>

/**
 * The root and the credential issuer are replaced by a person alone; the issuer by the leader, so that it is warned of when that is overdue.
 * Where the root's key is kept offline the issuer, too, needs a person.
 */
function* signingWarnings(fleet: Fleet, clock: Clock): Iterable<string> {
  yield* unsignedReasons(fleet, clock)
  const now = clock.now()
  const offer = refusedOffer(fleet, now)
  if (offer !== undefined) yield `the root does not follow Secret ${offer.secret}: ${offer.refused}`
  const root = fleet.authority.get('root')
  const bound = new Map(boundIssuers(fleet).map(({part, present}) => [part as string, present]))
  for (const [part, present] of bound) {
    const {notBefore, notAfter} = readKey(present)
    if (!isOld({notBefore, notAfter}, warnedFrom.root, now)) continue
    yield `the ${part === 'issuer' ? 'issuer' : 'next issuer'} certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that; ${ASK_FOR_AGAIN}`
  }

  for (const part of authorityParts) {
    const key = fleet.authority.get(part)
    if (key === undefined) continue
    const {notBefore, notAfter} = readKey(key)
    // Then it is the root itself, which is warned of.
    if (part === 'issuer' && root?.certificate === key.certificate) continue
    const isAsked = part === 'issuer' && isRootOffline(fleet) && fleet.rotation === undefined
    if (bound.has(part)) continue
    if (!isOld({notBefore, notAfter}, isAsked ? warnedFrom.root : warnedFrom[part], now)) continue
    const remedy = isAsked
      ? `the key of the root is kept offline: ${ASK_FOR_ISSUER}`
      : part === 'issuer'
        ? 'its replacement is overdue: "atlas rotate --status" shows what it waits for'
        : isRootOffline(fleet) && root !== undefined && readKey(root).pathLength === 0
          ? `replace it: ${BRING_BOTH}`
          : rootRemedy(fleet)
    yield `the ${partNames[part]} certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that; ${remedy}`
  }
}

/** Whether a certificate has lived a part of its life. One that has ended is among the reasons why nothing is signed. */
function isOld({notBefore, notAfter}: Pick<CertificateFacts, 'notAfter' | 'notBefore'>, part: number, now: Date): boolean {
  const from = notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * part
  return from < now.getTime() && now < notAfter
}

/** A root that comes from a Secret is renewed there (docs/how-to/own-authority.md). */
function rootRemedy({offeredRoots}: Fleet): string {
  const [secret] = offeredRoots.keys()
  if (secret === undefined) return 'replace it: "atlas rotate --root"'
  return `the root comes from Secret ${secret} (label goatlas.io/authority): renew it there, and a rotation begins`
}
