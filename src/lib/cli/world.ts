/** The real world for the use cases: the system's clock and node:crypto. */
import type {OpsDependencies} from '../ops/dependencies.js'
import {cryptoSigner} from '../pki/signer.js'

export const dependencies: OpsDependencies = {now: () => new Date(), signer: cryptoSigner}
