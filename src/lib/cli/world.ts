/** The real world for the use cases: the system's clock and node:crypto. */
import type {World} from '../ops/dependencies.js'
import {cryptoSigner} from '../pki/signer.js'

export const world: World = {now: () => new Date(), signer: cryptoSigner}
