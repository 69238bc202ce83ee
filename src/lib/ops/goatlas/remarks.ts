/** What is said of a registration that is in effect, but for what only the 2021 program's own registrations are allowed. */
import type {TrustBundle} from '../../model/authority.js'
import type {Cluster} from '../../model/cluster.js'
import type {Fleet} from '../../model/fleet.js'
import {remember} from '../../model/remember.js'
import {readCertificates} from '../../pki/read.js'
import {isNamedBy2021} from '../../pki/root-names.js'

/** What in a registration has no effect. What the 2021 program let pass is named only where Atlas has not adopted its installation. */
export function remarksOn(fleet: Fleet, {remarks = [], remarksOf2021 = []}: Cluster): readonly string[] {
  return remarksOf2021.length === 0 || isAdopted(fleet) ? remarks : [...remarks, ...remarksOf2021]
}

/** Whether the 2021 program's root is trusted here: its installation was adopted, or is about to be, and the root was not replaced since. */
function isAdopted({trust}: Fleet): boolean {
  return trust !== undefined && trustsRootOf2021(trust)
}

const trustsRootOf2021 = remember(({roots}: TrustBundle): boolean =>
  roots.some(pem => readCertificates(pem, 'a trusted root').some(facts => isNamedBy2021(facts))),
)
