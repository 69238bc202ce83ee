/** Which kinds of key certificates from outside may have, and that a store with another kind is reported and not used. */
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {dump} from 'js-yaml'
import {expect} from 'chai'
import {readCertificates, readKey} from '../../src/lib/pki/read.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {atlas, inFolder} from '../helpers/atlas.js'
import {thrownBy} from '../helpers/thrown.js'

const ec = (curve: string): readonly string[] => ['ec', '-pkeyopt', `ec_paramgen_curve:${curve}`]

/** `openssl req -newkey`, and what the message has; undefined: accepted. */
const kinds: readonly (readonly [newkey: readonly string[], found: string | undefined])[] = [
  [ec('prime256v1'), undefined],
  [ec('secp384r1'), undefined],
  [ec('secp521r1'), undefined],
  [['rsa:2048'], undefined],
  [['rsa:3072'], undefined],
  [['rsa:1024'], 'it has an RSA key of 1024 bits'],
  [ec('secp256k1'), 'it has an EC key on secp256k1'],
  [ec('secp224r1'), 'it has an EC key on secp224r1'],
  [ec('brainpoolP256r1'), 'it has an EC key on brainpoolP256r1'],
  [['ed25519'], 'it has a key of type ed25519'],
  [['rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'], 'it has a key of type rsa-pss'],
]

describe('pki, kinds of keys', function () {
  this.timeout(60_000)

  for (const [newkey, found] of kinds) {
    it(`a certificate with a key of ${newkey.join(' ')} is ${found === undefined ? 'accepted' : 'refused'}`, () =>
      inFolder(folder => {
        const {certificate, key} = rootWith(folder, newkey, '/CN=outside')
        const read = [() => readCertificates(certificate, 'the root'), () => readKey({certificate, key: new SecretText(key)}, 'the root')]
        for (const each of read) {
          if (found === undefined) expect(each).not.to.throw()
          else expect(thrownBy(each).message).to.contain('the root must have an EC key on P-256, P-384 or P-521').and.to.contain(found)
        }
        return Promise.resolve()
      }))
  }

  it('init on a directory with a root on secp256k1, of the 2021 program or any other, refuses it and names key and place', () =>
    inFolder(async folder => {
      for (const subject of ['/C=US/O=goatlas.io/OU=Atlas/L=Washington/ST=DC', '/CN=another']) {
        const {certificate, key} = rootWith(folder, ec('secp256k1'), subject)
        const data = {'ca.pem': base64(certificate), 'ca-key.pem': base64(key)}
        const secret = {apiVersion: 'v1', kind: 'Secret', metadata: {name: 'atlas-ca', namespace: 'atlas'}, type: 'Opaque', data}
        await writeFile(path.join(folder, 'secret-atlas-ca.yaml'), dump(secret), {mode: 0o600})
        const {code, stderr} = await atlas('init', '--store', folder)
        expect(code, stderr).to.equal(1)
        expect(stderr).to.contain('secret-atlas-ca.yaml').and.to.contain('secp256k1').and.to.contain('Hint:')
      }
    }))
})

function rootWith(folder: string, newkey: readonly string[], subject: string): {certificate: string; key: string} {
  const file = (name: string): string => path.join(folder, name)
  const args = ['req', '-x509', '-nodes', '-days', '10', '-subj', subject, '-addext', 'keyUsage=critical,keyCertSign']
  execFileSync('openssl', [...args, '-newkey', ...newkey, '-keyout', file('key.pem'), '-out', file('certificate.pem')], {stdio: 'pipe'})
  return {certificate: readFileSync(file('certificate.pem'), 'utf8'), key: readFileSync(file('key.pem'), 'utf8')}
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
