/** What is wrong though the server serves: said by /readyz and `status`. */
import type {Fleet} from '../lib/model/fleet.js'
import type {ServerRole} from '../lib/store/store.js'
import {whyUnsigned} from '../lib/ops/reconcile.js'
import {readKey} from '../lib/pki/read.js'

export interface Circumstances {
  readonly fleet: Fleet
  readonly role: ServerRole
  readonly isReachable: boolean
  readonly now: Date
  /** Why the last attempt to issue what is due failed. */
  readonly failure: string | undefined
  /** Why the newest certificate or trust is not in use. */
  readonly problem: string | undefined
  /** Why this server can't take part in electing the leader. */
  readonly partFailure: string | undefined
  /** When the store was heard last, milliseconds of `performance.now`; undefined where that is no question. */
  readonly heardAt: number | undefined
  /** So many milliseconds of silence are too many. */
  readonly silenceMax: number
}

/** One line each. A server without the right to read the signers says nothing of them. */
export function warningsOf({fleet, role, isReachable, now, failure, problem, partFailure, ...rest}: Circumstances): readonly string[] {
  const {heardAt, silenceMax} = rest
  const silence = heardAt === undefined ? 0 : performance.now() - heardAt
  const signs = role !== 'ads'
  const unsigned = signs ? whyUnsigned(fleet) : undefined
  return [
    ...(isReachable ? [] : ['the store can not be read; what was known stays in force']),
    ...(isReachable && silence > silenceMax
      ? [`nothing was heard of the store for ${Math.round(silence / 1000)} s; what was known stays in force`]
      : []),
    ...(unsigned === undefined ? [] : [unsigned]),
    ...(signs ? signersEnding(fleet, now) : []),
    ...(failure === undefined ? [] : [`what is due could not be issued: ${failure}`]),
    ...(problem === undefined ? [] : [problem]),
    ...(partFailure === undefined ? [] : [partFailure]),
  ]
}

/** Signers past two thirds of their life: what they sign is cut short, and when they have ended nothing is signed any more. */
function signersEnding(fleet: Fleet, now: Date): readonly string[] {
  return [...fleet.authority].flatMap(([part, key]) => {
    const {notBefore, notAfter} = readKey(key)
    const isEnding = now.getTime() > notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * (2 / 3)
    return isEnding
      ? [
          `the ${part === 'credentialIssuer' ? 'credential issuer' : part} certificate ends on ${notAfter.toISOString()}; nothing can be signed with it after that`,
        ]
      : []
  })
}
