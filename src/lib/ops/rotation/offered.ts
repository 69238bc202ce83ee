/** The root that a watched Secret offers, such as cert-manager's: whether a rotation is to begin with it. How one goes on is in plan.ts. */
import type {CertifiedKey} from '../../model/authority.js'
import {AtlasError} from '../../model/errors.js'
import type {Fleet} from '../../model/fleet.js'
import {byKey} from '../../model/listing.js'
import type {Settings} from '../../model/settings.js'
import {importRoot} from '../../pki/import-root.js'
import {parseCertificates, renderCertificates} from '../../pki/pem.js'

export type Offer = {readonly root: CertifiedKey} | {readonly secret: string; readonly refused: string}

/** Undefined where no Secret offers a root, or the one that is offered is trusted already. */
export function offerIn({offeredRoots, trust}: Fleet, settings: Settings, now: Date): Offer | undefined {
  const [first, second] = [...offeredRoots].sort(byKey)
  if (first === undefined) return undefined
  const [secret, {anyAge, ...offered}] = first
  if (second !== undefined) {
    const refused = `the Secrets ${secret} and ${second[0]} both offer a root (label goatlas.io/authority): take the label off one of them`
    return {secret, refused}
  }

  const name = `the certificate in Secret ${secret}`
  try {
    const own = renderCertificates(parseCertificates(offered.certificate, name).slice(0, 1))
    return trust?.roots.includes(own) === true ? undefined : {root: importRoot({...offered, name, from: 'secret'}, settings, {now, anyAge})}
  } catch (error) {
    if (error instanceof AtlasError) return {secret, refused: error.hint === undefined ? error.message : `${error.message}; ${error.hint}`}
    throw error
  }
}

/** Why the root that is offered is not taken, a sentence without its full stop; undefined: it is, or none is offered. */
export function refusedOffer(fleet: Fleet, now: Date): {readonly secret: string; readonly refused: string} | undefined {
  const offer = fleet.settings && offerIn(fleet, fleet.settings, now)
  return offer !== undefined && 'refused' in offer ? offer : undefined
}
