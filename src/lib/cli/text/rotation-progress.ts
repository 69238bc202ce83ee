/** How far a rotation is, and what a person does about it: what it waits for, what it leaves behind, what is to be applied by hand. */
import {renderAge} from '../../model/duration.js'
import type {Fleet} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import {printable} from '../../model/printable.js'
import {type Rotation, type RotationPart, type RotationStage, describeStage} from '../../model/rotation.js'
import {readWaited} from '../../ops/rotation/waited.js'
import {anchorsOf} from '../../pki/signed.js'

/** Where a rotation is and what it waits for, for people who watch it. */
export function renderRotation(rotation: Rotation, now: Date): string {
  const {part, since, skipped, waitingFor} = rotation
  const waited = waitingFor.map(each => readWaited(each))
  const absent = waited.filter(each => each.is === 'without an Envoy')
  const refusing = waited.filter(each => each.is === 'lacking').filter(({refused}) => refused !== undefined)
  const seconds = Math.max(0, (now.getTime() - Date.parse(since)) / 1000)
  return [
    `The ${part} is being rotated: ${describeStage(rotation)}, ${seconds < 1 ? 'just begun' : `for ${renderAge(seconds)}`}.`,
    ...(skipped.length === 0 ? [] : [renderLeftBehind(part, skipped)]),
    ...waitingFor.map(each => `- ${printable(each)}`),
    ...inOrder(absent),
    ...withoutThem(part, clustersOf(refusing), {
      one: name => `Repair the Envoy of ${name} ("atlas status" shows it; a restart makes it ask again)`,
      several: 'Repair the Envoy of each cluster that refuses something ("atlas status" shows them; a restart makes them ask again)',
    }),
    ...withoutThem(part, clustersOf(absent), {one: name => `Start the Envoy of ${name}`, several: 'Start the Envoy of each cluster'}),
  ].join('\n')
}

/** What breaks for clusters that a rotation does not wait for, and what repairs it. */
export function renderLeftBehind(part: RotationPart, skipped: readonly string[]): string {
  const who = skipped.length === 1 ? 'It' : 'Each'
  const stage = describeStage({part, stage: 'leaves'})
  const until =
    part === 'issuer' ? 'its Envoy has connected and acknowledged' : 'its newest credential is applied there and its Envoy has connected'
  return `Left behind: ${skipped.join(', ')}. ${who} is cut off from ${stage} on, once its connections are renewed: requests to it and alerts from it fail, until ${until}. No other cluster is affected.`
}

/** Whether every root in force has ended, so that no Envoy can connect. */
export function haveRootsEnded({trust}: Pick<Fleet, 'trust'>, now: Date): boolean {
  const roots = anchorsOf(trust?.roots ?? [])
  return roots.length > 0 && roots.every(({facts}) => facts.notAfter <= now)
}

/**
 * What a rotation of the root asks of people, and in which order.
 * @param fleet before the rotation begins
 */
export function renderByHand(fleet: Pick<Fleet, 'trust'>, now: Date): string {
  const isOver = haveRootsEnded(fleet, now)
  const stage = (name: RotationStage): string => describeStage({part: 'root', stage: name})
  const [when, order] = isOver
    ? [stage('leaves'), `, that of the observability Envoy first: every other one connects through it`]
    : [stage('credentials'), ', in any order']
  return [
    ...(isOver ? ['The present root has ended, so that no Envoy can connect: the first two stages do not wait.'] : []),
    `By hand: in ${when}, and again in ${stage('retire')}, the new ADS credential of each Envoy is to be applied${order}. "atlas rotate --status" lists them when it is time. The rotation ends once the Envoy of every cluster is connected with its last one.`,
    ...(isOver ? [SECOND_ROUND] : []),
  ].join('\n')
}

/** Why the credentials of the first round are not the last ones, though the former root is of no use any more. */
const SECOND_ROUND =
  'The second round is not urgent, because everything works after the first one. It is needed because the credentials of the first one carry the former root, too: that it has ended is known by the clock of the leader alone, and were that wrong, an Envoy without the former root would be cut off.'

/** Each once. The observability cluster is not among them: no rotation goes on without it, and `--skip` does not take it. */
function clustersOf(waited: readonly {readonly owner: Owner}[]): readonly Owner[] {
  return [...new Set(waited.map(({owner}) => owner))].filter(owner => owner !== OBSERVABILITY)
}

/** Where credentials are to be applied before any Envoy can connect. */
function inOrder(absent: readonly {readonly owner: Owner; readonly byHand?: string | undefined}[]): readonly string[] {
  const applied = absent.filter(({byHand}) => byHand !== undefined)
  const isBoth = applied.some(({owner}) => owner === OBSERVABILITY) && clustersOf(applied).length > 0
  return isBoth ? ['Begin with the observability Envoy: every other one connects through it.'] : []
}

/** What a person can do about clusters beside repairing them. */
function withoutThem(
  part: RotationPart,
  clusters: readonly string[],
  {one, several}: {readonly several: string; one(name: string): string},
): readonly string[] {
  const [first] = clusters
  if (first === undefined) return []
  const [what, each] = clusters.length === 1 ? [one(first), ''] : [several, ', and so on for each']
  const until = part === 'issuer' ? 'it connects again' : 'its newest credential is applied there'
  return [
    `${what}, or go on without it: "atlas rotate --${part} --skip ${first}" leaves it behind until ${until}; "atlas cluster remove ${first}", if it is gone for good${each}.`,
  ]
}
