/** Who has made a root, by its names alone; apart from what signs, which a command that only reads need not load. */
import type {CertificateFacts} from './read.js'

type Names = Pick<CertificateFacts, 'issuer' | 'subject'>

/** Whether a root is one that Atlas has made, this program or that of 2021, by its name alone; any other came from outside. */
export function isMadeByAtlas({subject, issuer}: Names): boolean {
  return isNamedBy2021({subject, issuer}) || (subject === issuer && ROOT_NAME.test(subject))
}

/** Whether a root is that of the 2021 program, as it made it or with the certificate that Atlas has made for it, by its name alone. */
export function isNamedBy2021({subject, issuer}: Names): boolean {
  return subject === issuer && subject.split(', ').includes(ORGANISATION)
}

/** As `rootSpec` and `issue` name it. */
const ROOT_NAME = /^CN=Atlas root [0-9a-f]{8}$/

const ORGANISATION = 'O=goatlas.io'
