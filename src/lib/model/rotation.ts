/** A rotation of the issuer or the root, as it is stored: which certificates, and how far it is. What each stage does is in ops/rotation/. */
import type {AuthorityPart} from './authority.js'
import type {Owner} from './names.js'

/** `issuer`: the certificate that signs identities. `root`: the root and both issuers below it. */
export const rotationParts = ['issuer', 'root'] as const

export type RotationPart = (typeof rotationParts)[number]

/**
 * In this order; `credentials` belongs to a rotation of the root alone.
 * - `announce`: the next certificates exist, and every Envoy and server is told to trust them beside the present ones.
 * - `credentials`: the next credential issuer signs, and every Envoy must come with a credential that carries the next root.
 * - `leaves`: the next root and issuer sign, and every identity is replaced.
 * - `retire`: the former ones are in no bundle any more, and every Envoy and server must have seen that.
 */
export const rotationStages = ['announce', 'credentials', 'leaves', 'retire'] as const

export type RotationStage = (typeof rotationStages)[number]

export type GivenParts = Readonly<Partial<Record<AuthorityPart, string>>>

export interface Rotation {
  readonly part: RotationPart
  readonly stage: RotationStage
  /** ISO 8601, UTC: when the rotation began, and when its present stage did. */
  readonly startedAt: string
  readonly since: string
  /** Clusters that no stage waits for, because a person said so. */
  readonly skipped: readonly Owner[]
  /** SHA-256, lower-case hex, of the next certificates that came from outside: no other one takes their place, and none is made. */
  readonly given?: GivenParts
  /** What the present stage waits for, a sentence each without its full stop, as the leader saw it last; at most `WAITING_MAX`. */
  readonly waitingFor: readonly string[]
}

/** A stage may wait for thousands of Envoys; the entry after the last one says how many more there are. */
export const WAITING_MAX = 20

/** The stage that follows; undefined: the rotation is done. */
export function stageAfter({part, stage}: Pick<Rotation, 'part' | 'stage'>): RotationStage | undefined {
  const stages = stagesOf(part)
  return stages[stages.indexOf(stage) + 1]
}

/** The stages of a rotation, in order. */
export function stagesOf(part: RotationPart): readonly RotationStage[] {
  return rotationStages.filter(stage => part === 'root' || stage !== 'credentials')
}

/** For people: the number of a stage and of all stages, such as "stage 2 of 3 (leaves)". */
export function describeStage({part, stage}: Pick<Rotation, 'part' | 'stage'>): string {
  const stages = stagesOf(part)
  return `stage ${stages.indexOf(stage) + 1} of ${stages.length} (${stage})`
}
