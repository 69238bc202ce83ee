/** Next certificates from outside that a command has put into their Secrets, and that its request names: the leader takes those and no others. */
import {type AuthorityPart, type NextPart, authorityParts, bundleFields, hasKey, nextParts} from '../../model/authority.js'
import type {Change} from '../../model/change.js'
import {AtlasError} from '../../model/errors.js'
import {type Fleet, isBroken} from '../../model/fleet.js'
import {objectNames} from '../../model/names.js'
import {type Request, namedIn} from '../../model/request.js'
import type {RotationPart} from '../../model/rotation.js'
import {type Authority, type Outside, importAuthority} from '../../pki/import-issuer.js'
import {readKey} from '../../pki/read.js'
import type {OpsDependencies} from '../dependencies.js'
import {partNames} from '../signing.js'
import {ownCertificate} from '../trust.js'
import {planStart} from './start.js'

/**
 * The first changes of a rotation to the certificates that a request names by their fingerprints, if it names any. Others that lie in their
 * place, or that cannot be used, are removed; but not those that another request names: of two commands that brought theirs at the same moment
 * the later one has laid its own.
 * @throws AtlasError with the reason
 */
export function* planWithNamed(
  fleet: Fleet,
  part: RotationPart,
  request: Request,
  dependencies: OpsDependencies,
): Generator<readonly Change[], void> {
  const {skip = []} = request
  try {
    yield planStart(fleet, part, {...dependencies, skip, next: namedNext(fleet, part, request, dependencies)})
  } catch (error) {
    // What a rotation needs whose record is lost, or cannot be read, stays.
    if (fleet.rotation === undefined && !isBroken(fleet, 'rotation'))
      yield authorityParts
        .filter(each => request[nextParts[each]] !== undefined && isTrustedNowhere(fleet, each) && !isOfAnother(fleet, request, each))
        .map(each => ({kind: 'authority', part: nextParts[each], value: undefined}))
    throw error
  }
}

/** What the command that wrote them has judged is judged again here: the account that asks decides nothing. */
function namedNext(fleet: Fleet, part: RotationPart, request: Request, {now}: OpsDependencies): Authority {
  const {settings, authority, trust} = fleet
  const given = authorityParts.flatMap(each => {
    const sha256 = request[nextParts[each]]
    return sha256 === undefined ? [] : [[each, laid(fleet, each, sha256)] as const]
  })
  if (given.length === 0) return {}
  if (settings === undefined || trust === undefined) throw new AtlasError('failed', 'there are no settings, or there is no trust bundle')
  return importAuthority(Object.fromEntries(given), {part, settings, now: now(), root: authority.get('root'), trust})
}

function laid({authority, rotation}: Fleet, part: AuthorityPart, sha256: string): Outside {
  const next = nextParts[part]
  const name = `the certificate in Secret ${objectNames[next]}`
  const found = [authority.get(next), ...(rotation === undefined ? [] : [authority.get(part)])].find(
    key => key !== undefined && readKey(key, `the next ${partNames[part]}`).sha256 === sha256,
  )
  if (found !== undefined) return {certificate: found.certificate, ...(hasKey(found) && {key: found.key}), name, anyAge: true}
  throw new AtlasError('failed', `${name} is not the one that the request names, or cannot be read`, {hint: 'run the command again'})
}

function isTrustedNowhere({authority, trust}: Fleet, part: AuthorityPart): boolean {
  const next = authority.get(nextParts[part])
  return next !== undefined && trust?.[bundleFields[part]].includes(ownCertificate(next)) !== true
}

function isOfAnother({authority, requests, answers}: Fleet, request: Request, part: AuthorityPart): boolean {
  const next = nextParts[part]
  const key = authority.get(next)
  if (key === undefined) return false
  const {sha256} = readKey(key)
  return [...requests].some(([id, other]) => other !== request && other.state === 'waiting' && !answers.has(id) && other[next] === sha256)
}

/** A request and the Secrets that it names come by different watches. Milliseconds by the leader's clock. */
const SECRETS_COME_WITHIN = 30_000

/** Whether the leader has not seen a Secret yet that a request names, and waits for it. */
export function isNamedComing(fleet: Fleet, request: Request, now: Date): boolean {
  const isMissing = partsNamed(request).some(next => !fleet.authority.has(next) && !isBroken(fleet, 'authority', next))
  if (!isMissing || fleet.rotation !== undefined) return false
  return now.getTime() - Date.parse(request.requestedAt) < SECRETS_COME_WITHIN
}

function partsNamed(request: Request): readonly NextPart[] {
  return Object.keys(namedIn(request)) as NextPart[]
}
