/** The TLS context of the server's ports for Envoys: made from the fleet, and refused as a whole when a part is invalid. */
import {expect} from 'chai'
import {type Fleet, emptyFleet} from '../../../src/lib/model/fleet.js'
import {SecretText} from '../../../src/lib/model/secret.js'
import {defaultSettings} from '../../../src/lib/model/settings.js'
import {credentialIssuerSpec, issuerSpec, rootSpec, serverSpec} from '../../../src/lib/pki/certificate-specs.js'
import {issue} from '../../../src/lib/pki/issue.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {buildServerTls, materialOf, sameMaterial} from '../../../src/server/mtls/context.js'
import {thrownBy} from '../../helpers/thrown.js'
import {need} from '../support/network.js'

describe('the material of a port for Envoys', () => {
  const now = new Date()
  const root = issue(rootSpec(defaultSettings), undefined, now, cryptoSigner)
  const issuer = issue(issuerSpec(defaultSettings), root, now, cryptoSigner)
  const credentialIssuer = issue(credentialIssuerSpec(defaultSettings), root, now, cryptoSigner)
  const server = issue(serverSpec(defaultSettings), issuer, now, cryptoSigner)
  const fleet: Fleet = {
    ...emptyFleet,
    server,
    trust: {roots: [root.certificate], issuers: [issuer.certificate], credentialIssuers: [credentialIssuer.certificate]},
  }
  const material = need(materialOf(fleet))

  it('is the server certificate and the issuers of both planes, never the roots', () => {
    expect(material.anchors).to.deep.equal([issuer.certificate, credentialIssuer.certificate])
    expect(buildServerTls(material).notAfter.getTime()).to.be.above(now.getTime())
  })

  it('is not there before the certificate and the trust are', () => {
    expect(materialOf({...fleet, server: undefined})).to.equal(undefined)
    expect(materialOf({...fleet, trust: undefined})).to.equal(undefined)
  })

  it('is the same only with the same key and anchors', () => {
    expect(sameMaterial(material, need(materialOf({...fleet})))).to.equal(true)
    expect(sameMaterial(material, {...material, anchors: material.anchors.slice(1)})).to.equal(false)
    expect(sameMaterial(material, {...material, key: root.key})).to.equal(false)
    expect(sameMaterial(undefined, material)).to.equal(false)
  })

  for (const [what, broken] of [
    ["another certificate's key", {...material, key: root.key}],
    ['a key that is none', {...material, key: new SecretText('nonsense')}],
    ['a certificate that is none', {...material, certificate: 'nonsense'}],
    ['an anchor that is none', {...material, anchors: [...material.anchors, 'nonsense']}],
    ['no anchor', {...material, anchors: []}],
  ] as const)
    it(`is refused with ${what}, and the error does not contain the key`, () => {
      const error = thrownBy(() => buildServerTls(broken))
      expect(error.code).to.equal('invalid')
      expect(`${error.message} ${error.hint ?? ''}`).not.to.match(/PRIVATE|nonsense/)
    })
})
