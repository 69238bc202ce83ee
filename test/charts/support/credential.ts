/** An ADS credential as in its Secret, of an authority of the test. */
import type {Owner} from '../../../src/lib/model/names.js'
import {credentialSpec} from '../../../src/lib/pki/certificate-specs.js'
import {issueCredential} from '../../../src/lib/pki/issue.js'
import {testAuthority} from '../../helpers/pki.js'

/** The data of a Secret `<owner>-envoy-ads`. */
export function credentialData(owner: Owner): Readonly<Record<'ca.crt' | 'tls.crt' | 'tls.key', string>> {
  const now = new Date()
  const {settings, signer, root, credentialIssuer} = testAuthority(now)
  const {certificate, key, roots} = issueCredential(credentialSpec(settings, owner, 1), credentialIssuer, [root.certificate], now, signer)
  return {'tls.crt': certificate, 'tls.key': key.reveal(), 'ca.crt': roots}
}
