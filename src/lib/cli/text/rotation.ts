/** `rotate` for a terminal: the table of certificates, and what `--dry-run` says of stages. How far a rotation is: rotation-progress.ts. */
import {renderAge, renderTime} from '../../model/duration.js'
import {quote} from '../../model/errors.js'
import type {Fleet} from '../../model/fleet.js'
import {withMore} from '../../model/listing.js'
import {printable} from '../../model/printable.js'
import {type RotationPart, type RotationStage, stagesOf} from '../../model/rotation.js'
import type {CertificateRow, RotationStatus} from '../../ops/rotation/certificates.js'
import {issuesAtOnce} from '../../ops/rotation/held.js'
import type {ReportSource} from '../../ops/server-reports.js'
import {renderTable} from './render.js'
import {renderRotation} from './rotation-progress.js'

/**
 * The rotation that is under way, if there is one, and a row for each certificate.
 * @param width columns of the terminal, where the text is shown on one
 */
export function renderRotationStatus({rotation, certificates}: RotationStatus, now: Date, width?: number): string {
  const head = ['CERTIFICATE', 'OWNER', 'GENERATION', 'SERIAL', 'ISSUER', 'FROM', 'UNTIL', 'RENEWED IN', 'PROXIES']
  const rows = certificates.map(row => [
    row.role === undefined ? row.kind : `${row.kind} (${row.role})`,
    row.owner,
    row.generation === undefined ? '-' : String(row.generation),
    row.serial?.slice(0, 12) ?? '-',
    issuerOf(row),
    timeOr(row.from),
    timeOr(row.until),
    renewal(row, now),
    havers(row),
  ])
  const lacks = [...new Set(certificates.flatMap(row => lackOf(row)))]
  const more = lacks.length > LACKS_SHOWN ? [`${lacks.length - LACKS_SHOWN} lines more; --json has all.`] : []
  const notes = [...certificates.flatMap(row => noteOf(row)), ...lacks.slice(0, LACKS_SHOWN), ...more]
  return [
    rotation === undefined ? 'No rotation of the issuer or the root is under way.' : renderRotation(rotation, now),
    ...(notes.length === 0 ? [] : [notes.join('\n')]),
    renderTable(head, rows, {width, before: head.indexOf('FROM')}),
  ].join('\n\n')
}

function havers({proxies, servers}: CertificateRow): string {
  if (servers !== undefined) return `${servers.having}/${servers.reporting} server${servers.reporting === 1 ? '' : 's'}`
  return proxies === undefined ? '-' : `${proxies.having}/${proxies.connected}`
}

/** The name of the certificate that signed it: its common name, where it has one. */
function issuerOf({issuer, subject}: CertificateRow): string {
  if (issuer === undefined) return '-'
  if (issuer === subject) return 'itself'
  return /(?:^|, )CN=([^,]+)/.exec(issuer)?.[1] ?? issuer
}

/** In a rotation of a large fleet each cluster may have one. */
const LACKS_SHOWN = 20

/** Which connected Envoys lack it. Issuers come in one bundle: who has not acknowledged the present one may have each of them. */
function lackOf({kind, role, owner, proxies}: CertificateRow): readonly string[] {
  if (proxies === undefined || proxies.lacking.length === 0) return []
  const names = proxies.lacking.map(each => printable(each))
  const more = proxies.connected - proxies.having - proxies.lacking.length
  const what =
    kind === 'root'
      ? `With a credential that does not carry the ${role === undefined ? '' : `${role} `}root`
      : owner === '-'
        ? 'The present trust bundle is not acknowledged by'
        : `Without the ${kind} of ${owner}`
  return [`${what}: ${withMore(names, more)}.`]
}

/** What is special about a root; empty for one that Atlas has made, and whose key it has. */
function noteOf({kind, role, subject = '', issuer = '', origin, key}: CertificateRow): readonly string[] {
  if (kind !== 'root' || (origin !== 'outside' && key !== 'offline')) return []
  const name = `The ${role === undefined ? '' : `${role} `}root ${quote(subject)}`
  const from = origin === 'outside' ? `${name} came from outside${issuer === subject ? '' : `, signed by ${quote(issuer)}`}.` : ''
  const where =
    key === 'offline'
      ? `${from === '' ? `The key of the ${name.slice(4)}` : ' Its key'} is kept offline: people have issuers signed there.`
      : ''
  return [from + where]
}

/**
 * How long servers that were started a short while ago hold a rotation up, by their reports; undefined: they do not.
 * @param fleet whose rotation is held up
 */
export function renderClockWait(
  sources: readonly ReportSource[],
  now: Date,
  fleet: Pick<Fleet, 'authority' | 'rotation'>,
): string | undefined {
  const until = Math.max(...sources.map(({report: {clockHeldUntil}}) => (clockHeldUntil === undefined ? 0 : Date.parse(clockHeldUntil))))
  const seconds = Math.ceil((until - now.getTime()) / 1000)
  if (seconds <= 0 || !Number.isFinite(seconds)) return undefined
  return `The server was started a short while ago: it issues certificates again once its clock has held for some minutes, in ${renderAge(seconds)} at most (its --time clock-held). Until then the rotation waits; ${issuesAtOnce(fleet)}.`
}

/**
 * The end of a rotation.
 * @param skipped the clusters that it has left behind
 */
export function renderReplaced(part: RotationPart, skipped: readonly string[]): string {
  const connected =
    skipped.length === 0 ? 'nor a connected Envoy' : `nor a connected Envoy, unless it was left behind (${skipped.join(', ')})`
  return `The ${part} is replaced. Neither a bundle nor a server trusts the former one any more, ${connected}. An Envoy that is not connected now trusts it until it connects.`
}

/**
 * What each stage does and waits for, and how long that takes at least.
 * @param hasEnded whether the root that is replaced has ended
 */
export function renderStages(part: RotationPart, {hasEnded = false}: {readonly hasEnded?: boolean} = {}): string {
  const texts = hasEnded ? endedRootTexts : stageTexts[part]
  const stages = stagesOf(part).map((stage, index) => `${index + 1}. ${stage}: ${texts[stage]}`)
  return [...stages, least[part], renderThief(part)].join('\n')
}

/** What the rotation of a key that was stolen prevents, and from when on; after that of the issuer, what only another root prevents. */
export function renderThief(part: RotationPart): string {
  const can = part === 'issuer' ? 'make identities of every cluster' : 'do all that Atlas can'
  const after = `Until the end of the last stage a thief of the former ${part}'s key can ${can}; after it, only towards an Envoy that was left behind or has not been connected since.`
  return part === 'root' ? after : `${after} ${UNTIL_THE_ROOT}`
}

/** The former issuer's certificate is below the root until it ends, and a server brings it along. */
const UNTIL_THE_ROOT =
  'Where a server is verified by the root (ca.crt: for ADS and on the internal ports), that key counts until the root is replaced, too: a thief who can divert such connections can answer them, and give Envoys another configuration. If it was stolen, go on with "atlas rotate --root".'

const announce =
  'the next certificates are made, and every Envoy and server is told to trust them beside the present ones; each must acknowledge it'
const leaves =
  'every identity, the certificate of the server and those of clients are issued again, a tenth of the fleet at a time; each Envoy must acknowledge its own, and clients have an hour'

const stageTexts: Readonly<Record<RotationPart, Readonly<Record<RotationStage, string>>>> = {
  issuer: {
    announce,
    credentials: '',
    leaves,
    retire: 'the former issuer leaves every bundle; each connected Envoy and server must acknowledge it',
  },
  root: {
    announce,
    credentials:
      'ADS credentials that carry both roots are issued; each must be applied in its cluster ("atlas cluster values NAME" prints how), and each Envoy must connect with it',
    leaves,
    retire:
      'the former root and issuers leave every bundle, and ADS credentials without the former root are issued; each must be applied, and each Envoy must connect with it',
  },
}

/** No Envoy can connect: the first stages do not wait, and what is applied by hand connects it again. */
const endedRootTexts: Readonly<Record<RotationStage, string>> = {
  announce: 'the next certificates are made; no Envoy is waited for, since none can connect',
  credentials: 'ADS credentials that carry both roots are issued; no Envoy is waited for',
  leaves: `${leaves}; before that, the first round by hand: the ADS credential of each must be applied ("atlas cluster values NAME" prints how), that of the observability Envoy first`,
  retire: `${stageTexts.root.retire}: the second round by hand`,
}

const least: Readonly<Record<RotationPart, string>> = {
  issuer:
    'It takes seconds where every cluster is connected, and an hour where clients of the internal ports have certificates; ten minutes more where the only server has just started and no API server confirms its clock.',
  root: 'It takes as long as applying the credentials takes; an Envoy connects again with a new one within the hour that its ADS stream may be old.',
}

function timeOr(time: string | undefined): string {
  return time === undefined ? '-' : renderTime(time)
}

function renewal({renewedFrom, kind}: CertificateRow, now: Date): string {
  if (renewedFrom === undefined) return kind === 'root' || kind === 'issuer' || kind === 'credential issuer' ? 'by hand' : '-'
  const seconds = (Date.parse(renewedFrom) - now.getTime()) / 1000
  return seconds <= 0 ? 'due' : renderAge(seconds)
}
