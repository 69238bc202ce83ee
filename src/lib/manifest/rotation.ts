/** ConfigMap `atlas-rotation` <-> the rotation of the issuer or the root that is under way. */
import {authorityParts, nextParts} from '../model/authority.js'
import {parseOwner} from '../model/names.js'
import {type Rotation, WAITING_MAX, rotationParts, stagesOf} from '../model/rotation.js'
import {choiceIn, fingerprintIn, timeIn} from './json.js'
import type {Manifest} from './manifest.js'
import {at} from './path.js'

/** @throws AtlasError `invalid` */
export function decodeRotation({data = {}}: Manifest): Rotation {
  const part = at('data.part', () => choiceIn(data['part'], 'part', rotationParts))
  return {
    part,
    stage: at('data.stage', () => choiceIn(data['stage'], `the stage of a rotation of the ${part}`, stagesOf(part))),
    startedAt: at('data.startedAt', () => timeIn(data['startedAt'], 'startedAt')),
    since: at('data.since', () => timeIn(data['since'], 'since')),
    skipped: at('data.skipped', () =>
      (data['skipped'] ?? '')
        .split(',')
        .filter(name => name !== '')
        .map(name => parseOwner(name)),
    ),
    ...givenIn(data),
    waitingFor: (data['waitingFor'] ?? '')
      .split('\n')
      .filter(line => line !== '')
      .slice(0, WAITING_MAX + 1),
  }
}

/** The data of the ConfigMap, in plain words, as people may read it with kubectl. */
export function encodeRotation({
  part,
  stage,
  startedAt,
  since,
  skipped,
  given = {},
  waitingFor,
}: Rotation): Readonly<Record<string, string>> {
  const named = authorityParts.flatMap(each => (given[each] === undefined ? [] : [[nextParts[each], given[each]] as const]))
  return {part, stage, startedAt, since, skipped: skipped.join(','), ...Object.fromEntries(named), waitingFor: waitingFor.join('\n')}
}

function givenIn(data: Readonly<Record<string, string>>): Pick<Rotation, 'given'> {
  const given = authorityParts.flatMap(part => {
    const next = nextParts[part]
    const sha256 = data[next]
    return sha256 === undefined ? [] : [[part, at(`data.${next}`, () => fingerprintIn(sha256, next))] as const]
  })
  return given.length === 0 ? {} : {given: Object.fromEntries(given)}
}
