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

  it('an internal port that speaks mutual TLS, and the clients that it admits', () => {
    const read = (data: Readonly<Record<string, string>>) => decodeSettings(stored({'trust-domain': 'corp.example', ...data}))
    const {internalTls, clients} = read({'internal-tls': '10901', clients: 'thanos, ruler,thanos'})
    expect({internalTls, clients}).to.deep.equal({internalTls: [10_901], clients: ['thanos', 'ruler']})
    const wrong: readonly [Readonly<Record<string, string>>, RegExp][] = [
      [{'internal-tls': '10901'}, /port 10901 can't be switched to mutual TLS: no client is named/],
      [{'internal-tls': '10900', clients: 'thanos'}, /an internal port must be one that can be switched to mutual TLS: 10901; got "10900"/],
      [{clients: 'paris/1'}, /a client's name must be/],
      [{clients: 'x-envoy-ads'}, /a client's name must be/],
      [{clients: 'a'.repeat(41)}, /a client's name must be/],
      [{'client-directory': 'here'}, /an absolute path/],
    ]
    for (const [data, message] of wrong) expect(() => read(data), JSON.stringify(data)).to.throw(message)
  })

  it('without a trust domain are broken, not those of another installation', () => {
    for (const data of [undefined, {}, {addresses: '203.0.113.7'}])
      expect(() => decodeSettings(stored(data))).to.throw('the trust domain must be there')
  })
})
