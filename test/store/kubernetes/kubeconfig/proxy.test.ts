/** Which proxy is used, where kubectl can't be asked on a machine without IPv6. The table of kubectl.kubernetes.test.ts has the rest. */
import {expect} from 'chai'
import {addressOf, parseProxyUrl, portOf, proxyFor} from '../../../../src/lib/store/kubernetes/kubeconfig/proxy.js'
import {thrownBy} from '../../../helpers/thrown.js'

const through = (server: string, noProxy: string): boolean =>
  proxyFor(new URL(server), '', {HTTPS_PROXY: 'http://proxy.example:3128', NO_PROXY: noProxy}) !== undefined

describe('the proxy for an address of IPv6', () => {
  it('is none for the loopback address', () => {
    expect(through('https://[::1]:6443', '')).to.equal(false)
    expect(through('https://[::2]:6443', '')).to.equal(true)
  })

  for (const [entry, isUsed] of Object.entries({
    '2001:db8::1': false,
    '2001:DB8:0:0::1': false,
    '[2001:db8::1]:6443': false,
    '[2001:db8::1]:443': true,
    '2001:db8::/32': false,
    '2001:db9::/32': true,
    '2001:db8::/129': true,
    '0.0.0.0/0': true,
    '::/0': false,
    db8: true,
  }))
    it(`is ${isUsed ? 'used' : 'not used'} with NO_PROXY=${entry}`, () => {
      expect(through('https://[2001:db8::1]:6443', entry)).to.equal(isUsed)
    })

  it('may have one', () => {
    const proxy = proxyFor(new URL('https://cluster.example'), '', {https_proxy: 'socks5://user:p%40ss@[2001:db8::2]'})
    expect(proxy && [proxy.username, proxy.password.reveal(), proxy.url.href, addressOf(proxy)]).to.deep.equal([
      'user',
      'p@ss',
      'socks5://[2001:db8::2]',
      {host: '2001:db8::2', port: 1080},
    ])
  })
})

describe('a proxy', () => {
  it('has the port of its scheme where none is given', () => {
    const ports = ['http://a', 'https://a', 'socks5://a', 'http://a:80', 'https://a:8443'].map(url => portOf(parseProxyUrl(url, 'it').url))
    expect(ports).to.deep.equal([80, 443, 1080, 80, 8443])
  })

  it('whose password is no URL is refused without the password', () => {
    const error = thrownBy(() => proxyFor(new URL('https://cluster.example'), '', {HTTPS_PROXY: 'http://user:secret%zz@proxy.example'}))
    expect(error.message)
      .to.match(/HTTPS_PROXY/)
      .and.not.to.include('secret')
  })
})
