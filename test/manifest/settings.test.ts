import {expect} from 'chai'
import {parseManifest} from '../../src/lib/manifest/manifest.js'
import {decodeSettings, encodeSettings} from '../../src/lib/manifest/settings.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {parseClientName} from '../../src/lib/model/names.js'
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
    expect({internalTls, clients}).to.deep.equal({
      internalTls: [10_901],
      clients: [
        {name: 'thanos', ports: [10_901]},
        {name: 'ruler', ports: [10_901]},
      ],
    })
    const wrong: readonly [Readonly<Record<string, string>>, RegExp][] = [
      [{'internal-tls': '10901'}, /port 10901 can't be switched to mutual TLS: no client is named/],
      [
        {'internal-tls': '10900', clients: 'thanos'},
        /an internal port must be one that can be switched to mutual TLS: 10901, 10902, 10904; got "10900"/,
      ],
      [{'internal-tls': '10901,10904', clients: 'thanos'}, /port 10904 can't be switched to mutual TLS: no client is named for it/],
      [{clients: 'thanos:10900'}, /the port of a client's name must be one/],
      [{clients: 'paris/1'}, /a client's name must be/],
      [{clients: 'x-envoy-ads'}, /a client's name must be/],
      [{clients: 'a'.repeat(41)}, /a client's name must be/],
      [{'client-directory': 'here'}, /an absolute path/],
    ]
    for (const [data, message] of wrong) expect(() => read(data), JSON.stringify(data)).to.throw(message)
  })

  it('clients of chosen ports as entries that an earlier release cannot read, of 10901 alone as a name', () => {
    const read = (clients: string) => decodeSettings(stored({'trust-domain': 'corp.example', clients})).clients
    const [thanos, ingress] = [parseInternalClient('thanos'), parseInternalClient('ingress:10904,10902')]
    const text = encodeSettings({...defaultSettings, clients: [thanos, ingress]})['clients'] ?? ''
    expect(text).to.equal('thanos,ingress:10902,ingress:10904')
    expect(read(text)).to.deep.equal([thanos, ingress])
    expect(read('ingress:10904,thanos,ingress:10902,ingress:10904')).to.deep.equal([ingress, thanos])
    expect(read('thanos, thanos:10902')).to.deep.equal([{name: 'thanos', ports: [10_901, 10_902]}])
    // What a release without ports makes of such an entry.
    for (const entry of ['ingress:10902', 'thanos:10901']) expect(() => parseClientName(entry)).to.throw("a client's name must be")
    expect(encodeSettings({...defaultSettings, clients: [{...thanos, ports: [10_901, 10_902]}]})['clients']).to.equal(
      'thanos:10901,thanos:10902',
    )
  })

  it('a web domain and pages by path are written only where they are chosen', () => {
    const read = (data: Readonly<Record<string, string>>) => decodeSettings(stored({'trust-domain': 'corp.example', ...data}))
    expect(encodeSettings(defaultSettings)).to.not.have.any.keys('web-domain', 'pages-by-path')
    const chosen = {...defaultSettings, webDomain: 'web.example.com', pagesByPath: true}
    expect(encodeSettings(chosen)).to.include({'web-domain': 'web.example.com', 'pages-by-path': 'true'})
    expect(decodeSettings(stored(encodeSettings(chosen)))).to.deep.equal(chosen)
    for (const wrong of ['Web.example', 'https://web.example', '*.web.example', 'a.'.repeat(100)])
      expect(() => read({'web-domain': wrong}), wrong).to.throw('a web domain must be')
    expect(() => read({'pages-by-path': 'yes'})).to.throw('"true" or "false"')
  })

  it('without a trust domain are broken, not those of another installation', () => {
    for (const data of [undefined, {}, {addresses: '203.0.113.7'}])
      expect(() => decodeSettings(stored(data))).to.throw('the trust domain must be there')
  })
})
