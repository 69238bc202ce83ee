/** A signer whose keys are names, for symbolic certificates alone. The n-th serial number is that of pki/symbolic.ts. */
import {SecretText} from '../../../src/lib/model/secret.js'
import {type Signer, serialFrom} from '../../../src/lib/pki/signer.js'
import {createHash} from 'node:crypto'
import {signatureOf} from './certificate.js'

/** The same seed gives the same keys and serial numbers. */
export function namedKeys(seed: string): Signer {
  let keys = 0
  let serials = 0
  return {
    generateKey() {
      keys += 1
      const label = `${seed}/key/${keys}`
      return {key: new SecretText(`-----BEGIN PRIVATE KEY-----\n${label}\n-----END PRIVATE KEY-----\n`), spki: Buffer.from(label)}
    },

    sign: (key, data) => Buffer.from(signatureOf(key.reveal().split('\n')[1] ?? '', data), 'hex'),

    serial() {
      serials += 1
      return serialFrom(createHash('sha256').update(`${seed}/serial/${serials}`).digest())
    },
  }
}
