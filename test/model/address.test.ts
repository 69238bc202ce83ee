import {expect} from 'chai'
import fc from 'fast-check'
import {
  parseAddress,
  parseAddresses,
  parseHostPort,
  parseListen,
  parsePort,
  renderAddresses,
  renderHostPort,
} from '../../src/lib/model/address.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {thrownBy} from '../helpers/thrown.js'

describe('model/address', () => {
  it('parseAddress() tells IPv4, IPv6 and DNS names apart', () => {
    expect(parseAddress('198.51.100.4')).to.deep.equal({kind: 'ipv4', host: '198.51.100.4'})
    expect(parseAddress('2001:DB8::1')).to.deep.equal({kind: 'ipv6', host: '2001:db8::1'})
    expect(parseAddress('[2001:db8::1]')).to.deep.equal({kind: 'ipv6', host: '2001:db8::1'})
    expect(parseAddress('NLB-1.eu.example.net.')).to.deep.equal({kind: 'dns', host: 'nlb-1.eu.example.net'})
  })

  for (const text of [
    '',
    '1.2.3',
    '256.1.1.1',
    '01.2.3.4',
    'fe80::1%eth0',
    '[1.2.3.4]',
    'a_b',
    'http://x',
    'host:443',
    'a b',
    'a/b',
    'ho\nst',
  ]) {
    it(`parseAddress() refuses ${JSON.stringify(text)}`, () => {
      expect(thrownBy(() => parseAddress(text)).message).to.match(/^an address must be an IPv4 or IPv6 address or a DNS name/)
    })
  }

  it('parseAddress() names the flag for a port', () => {
    expect(thrownBy(() => parseAddress('host:443')).hint).to.contain('--port')
  })

  it('parseAddresses() ignores blanks and repeats, and keeps the order', () => {
    expect(renderAddresses(parseAddresses(' b.example, 1.2.3.4,,B.example ,::1'))).to.equal('b.example,1.2.3.4,::1')
    expect(parseAddresses('')).to.deep.equal([])
  })

  it('parsePort() takes 1 to 65535', () => {
    expect(parsePort('65535')).to.equal(65_535)
    for (const text of ['0', '65536', '-1', '1.5', '1e3', ' 1', '0x1', '', '123456'])
      expect(thrownBy(() => parsePort(text)).code).to.equal('invalid')
  })

  it('parseHostPort() wants brackets around IPv6', () => {
    expect(parseHostPort('[::1]:80')).to.deep.equal({host: '::1', port: 80})
    expect(renderHostPort({host: '::1', port: 80})).to.equal('[::1]:80')
    for (const text of ['::1:80', 'host', ':80', 'host:', 'host:0', 'host:99999'])
      expect(thrownBy(() => parseHostPort(text)).code, text).to.equal('invalid')
  })

  it('parseListen() wants an IP address, and takes port 0', () => {
    expect(parseListen('127.0.0.1:0', '--listen')).to.deep.equal({host: '127.0.0.1', port: 0})
    expect(parseListen('[::]:6305', '--listen')).to.deep.equal({host: '::', port: 6305})
    for (const text of ['example.net:1', ':0', '0', '127.0.0.1:00', '127.0.0.1'])
      expect(thrownBy(() => parseListen(text, '--listen')).code, text).to.equal('invalid')
  })

  it('whatever is taken reads back as the same', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
    fc.assert(
      fc.property(fc.array(address, {maxLength: 5}), texts => {
        const parsed = parseAddresses(texts.join(','))
        expect(parseAddresses(renderAddresses(parsed))).to.deep.equal(parsed)
      }),
    )
  })

  it('never throws anything but an AtlasError', () => {
    fc.assert(
      fc.property(fc.string({unit: 'binary'}), text => {
        for (const parse of [parseAddress, parseAddresses, parseHostPort, parsePort]) {
          try {
            parse(text)
          } catch (error) {
            expect(error).to.be.instanceOf(AtlasError)
          }
        }
      }),
    )
  }).timeout(60_000)
})
