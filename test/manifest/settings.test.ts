import {expect} from 'chai'
import {parseManifest} from '../../src/lib/manifest/manifest.js'
import {decodeSettings, encodeSettings} from '../../src/lib/manifest/settings.js'
import {defaultSettings} from '../../src/lib/model/settings.js'

const stored = (data: Readonly<Record<string, string>> | undefined) =>
  parseManifest({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {name: 'atlas-fleet', namespace: 'atlas'},
    ...(data === undefined ? {} : {data}),
  })

describe('manifest/settings', () => {
  it('read what they write, and take the default for what is absent', () => {
    const settings = {...defaultSettings, trustDomain: 'corp.example', adsPort: 30_900}
    expect(decodeSettings(stored(encodeSettings(settings)))).to.deep.equal(settings)
    expect(decodeSettings(stored({'trust-domain': 'corp.example'}))).to.deep.equal({...defaultSettings, trustDomain: 'corp.example'})
  })

  it('without a trust domain are broken, not those of another installation', () => {
    for (const data of [undefined, {}, {addresses: '203.0.113.7'}])
      expect(() => decodeSettings(stored(data))).to.throw('the trust domain must be there')
  })
})
