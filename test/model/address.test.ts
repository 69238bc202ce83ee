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
  requireReachable,
} from '../../src/lib/model/address.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {thrownBy} from '../helpers/thrown.js'

describe('model/address', () => {
  it('parseAddress() tells IPv4, IPv6 and DNS names apart', () => {
    expect(parseAddress('198.51.100.4')).to.deep.equal({kind: 'ipv4', host: '198.51.100.4'})
    expect(parseAddress('2001:DB8::1')).to.deep.equal({kind: 'ipv6', host: '2001:db8::1'})
    expect(parseAddress('[2001:db8::1]')).to.deep.equal({kind: 'ipv6', host: '2001:db8::1'})
    expect(parseAddress('NLB-1.eu.example.net')).to.deep.equal({kind: 'dns', host: 'nlb-1.eu.example.net'})
  })

  it('parseAddress() keeps the last dot of a name, which ends the search for other names', () => {
    expect(parseAddress('paris.example.').host).to.equal('paris.example.')
    expect(parseHostPort('paris.example.:10900')).to.deep.equal({host: 'paris.example.', port: 10_900})
  })

  it('parseAddress() takes names with "_", as Docker Compose and Swarm give them', () => {
    for (const name of ['monitoring_sidecar', 'tasks.monitoring_sidecar', '_x.example'])
      expect(parseAddress(name).kind, name).to.equal('dns')
  })

  it('parseAddress() has one spelling for each IP address', () => {
    for (const text of ['2001:db8::1', '2001:DB8:0:0::1', '[2001:0db8:0000::0001]', '2001:db8:0:0:0:0:0:1'])
      expect(parseAddress(text), text).to.deep.equal({kind: 'ipv6', host: '2001:db8::1'})
    for (const text of ['10.0.0.1', '::ffff:10.0.0.1', '::FFFF:a00:1', '[0:0:0:0:0:ffff:10.0.0.1]'])
      expect(parseAddress(text), text).to.deep.equal({kind: 'ipv4', host: '10.0.0.1'})
  })

  for (const text of [
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '239.255.255.255',
    '255.255.255.255',
    '::ffff:224.0.0.1',
    '::',
    'ff02::1',
    'fe80::1',
    'febf::1',
  ]) {
    it(`requireReachable() refuses ${text}, to which no connection can be made`, () => {
      expect(thrownBy(() => requireReachable(parseAddress(text).host)).message).to.include('a connection can be made to')
    })
  }

  it('requireReachable() takes loopback, private, shared and reserved addresses, and names', () => {
    for (const text of ['127.0.0.1', '::1', '10.0.0.1', '100.64.0.1', '169.254.20.10', '240.0.0.1', 'fd00::1', 'fec0::1', 'ff02.example'])
      requireReachable(parseAddress(text).host)
  })

  for (const text of [
    '',
    '1.2.3',
    '256.1.1.1',
    '01.2.3.4',
    'fe80::1%eth0',
    '[1.2.3.4]',
    'a_b:1',
    '_grpc._tcp.x',
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

  it('parseAddress() has the hint of its caller for a port, one for a URL, and none where there is no port', () => {
    const hint = (text: string): string | undefined => thrownBy(() => parseAddress(text, port => `--ads-port ${port}`)).hint
    expect(hint('host:443')).to.equal('--ads-port 443')
    expect(hint('192.0.2.1:443')).to.equal('--ads-port 443')
    expect(hint('[2001:db8::1]:443')).to.equal('--ads-port 443')
    expect(hint('2001:db8::x')).to.equal(undefined)
    for (const url of ['https://host', 'http://host:443', '192.0.2.1:443/x', 'host/'])
      expect(hint(url), url).to.match(/^leave out the scheme, such as https:\/\/, and what begins with "\/"/)
    expect(thrownBy(() => parseHostPort('http://127.0.0.1:6305')).hint).to.match(/^leave out the scheme/)
  })

  it('parseAddress() explains what becomes of an address as Thanos Query has it', () => {
    const hint = (text: string): string | undefined => thrownBy(() => parseAddress(text)).hint
    expect(hint('dns+sidecar.example')).to.include('leave out the prefix, and write "sidecar.example"')
    for (const text of ['dnssrv+_grpc._tcp.sidecar.example', 'dnssrvnoa+_grpc._tcp.sidecar.example', '_grpc._tcp.sidecar.example'])
      expect(hint(text), text).to.include('no SRV records: write "sidecar.example"')
  })

  it('parseAddresses() ignores blanks and repeats, and keeps the order', () => {
    expect(renderAddresses(parseAddresses(' b.example, 1.2.3.4,,B.example ,::1'))).to.equal('b.example,1.2.3.4,::1')
    expect(renderAddresses(parseAddresses('2001:DB8:0:0::1,2001:db8::1,::ffff:1.2.3.4,1.2.3.4'))).to.equal('2001:db8::1,1.2.3.4')
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
    expect(thrownBy(() => parseListen('127.0.0.1:00', '--listen')).code).to.equal('invalid')
    expect(thrownBy(() => parseListen('127.0.0.1:65536', '--listen')).message).to.contain('the port of --listen')
    for (const text of ['example.net:1', 'localhost:6305', ':0', '0', '6305', '127.0.0.1', '::1:6305', 'x y'])
      expect(thrownBy(() => parseListen(text, '--listen')).message).to.equal(
        `--listen must be IP:PORT, such as 127.0.0.1:6305 or [::]:6305; got "${text}"`,
      )
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
