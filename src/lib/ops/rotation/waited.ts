/**
 * What a stage of a rotation waits for: as facts, and as the sentences that `Rotation.waitingFor` keeps, which people read in the store, too.
 * Those sentences that something is concluded from are made and read here alone.
 */
import type {Owner} from '../../model/names.js'

/** What one connected Envoy lacks. */
export interface Lack {
  /** Completes "paris (paris-0) …". */
  readonly what: string
  /** Why it refused its secrets: the error of its NACK. */
  readonly refused?: string | undefined
  /** Why nothing is sent to it. */
  readonly frozen?: string | undefined
}

export type Waited =
  /** `byHand`: what a person does before an Envoy can connect. */
  | {readonly is: 'without an Envoy'; readonly owner: Owner; readonly byHand?: string | undefined}
  | ({readonly is: 'lacking'; readonly owner: Owner; readonly node: string} & Lack)
  /** A node that was connected, and has until this time to come back; milliseconds since 1970. */
  | {readonly is: 'away'; readonly owner: Owner; readonly node: string; readonly until: number}
  /** A client of an internal port that has until this time to take up its certificate. */
  | {readonly is: 'client'; readonly client: string; readonly until: number}
  /** A server, a certificate, a person: nothing is concluded from its sentence. */
  | {readonly is: 'other'}

/** A sentence without its full stop. */
export function describeWaited(waited: Exclude<Waited, {readonly is: 'other'}>): string {
  switch (waited.is) {
    case 'without an Envoy':
      return `${waited.owner} has no connected Envoy${waited.byHand === undefined ? '' : `: ${waited.byHand}`}`
    case 'away':
      return `${nameOf(waited)} has until ${new Date(waited.until).toISOString()} to connect again: it was connected, and may run on with what it has`
    case 'client':
      return `client ${waited.client} has until ${new Date(waited.until).toISOString()} to take up its new certificate`
    case 'lacking':
      return `${nameOf(waited)} ${waited.what}${whyOf(waited)}`
  }
}

/** The facts in a sentence of `Rotation.waitingFor`, of this or an earlier version. */
export function readWaited(sentence: string): Waited {
  const [, owner, byHand] = /^([a-z0-9-]+) has no connected Envoy(?:: (.*))?$/.exec(sentence) ?? []
  if (owner !== undefined) return {is: 'without an Envoy', owner: owner as Owner, byHand}
  const [, client, end] = /^client (\S+) has until (\S+) to take up its new certificate$/.exec(sentence) ?? []
  if (client !== undefined) return {is: 'client', client, until: Date.parse(end ?? '')}
  const [, of, node, rest] = /^([a-z0-9-]+) \((.*?)\) ((?:has|is) .*)$/.exec(sentence) ?? []
  if (of === undefined || node === undefined || rest === undefined) return {is: 'other'}
  const [, until] = /^has until (\S+) to connect again/.exec(rest) ?? []
  if (until !== undefined) return {is: 'away', owner: of as Owner, node, until: Date.parse(until)}
  const [, lacking, refused] = /^(.*?): it refused it \((.*)\)$/.exec(rest) ?? []
  if (lacking !== undefined) return {is: 'lacking', owner: of as Owner, node, what: lacking, refused}
  const [, unsent, frozen] = /^(.*?): nothing is sent to it \((.*)\)$/.exec(rest) ?? []
  return {is: 'lacking', owner: of as Owner, node, what: unsent ?? rest, ...(frozen !== undefined && {frozen})}
}

/** Whether a sentence is about time alone that is planned, and that needs no person. */
export function isPlanned(sentence: string): boolean {
  const {is} = readWaited(sentence)
  return is === 'client' || is === 'away'
}

function nameOf({owner, node}: {readonly owner: Owner; readonly node: string}): string {
  return `${owner} (${node})`
}

function whyOf({refused, frozen}: Lack): string {
  if (frozen !== undefined) return `: nothing is sent to it (${frozen})`
  return refused === undefined ? '' : `: it refused it (${refused})`
}
