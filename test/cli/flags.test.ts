/** Messages of flags that are wrong: each names its flag, and its example is the flag's own. */
import {expect} from 'chai'
import {type BootstrapFlags, bootstrapOptions, requireMeant} from '../../src/lib/cli/flags/bootstrap.js'
import {requestOf} from '../../src/lib/cli/flags/cluster.js'
import {serveOptions} from '../../src/lib/cli/flags/serve.js'
import {OBSERVABILITY, type Owner, parseClusterName} from '../../src/lib/model/names.js'
import {thrownBy} from '../helpers/thrown.js'

describe('cli/flags', () => {
  it('serve: the example of an address to listen on has the default port of that flag', () => {
    const flags = {role: 'all', listen: '[::]:6305', admin: '127.0.0.1:6309', 'dns-zone': true} as const
    const messageOf = (wrong: Readonly<Record<string, string>>): string =>
      thrownBy(() => serveOptions({...flags, 'log-level': 'info', 'streams-per-cluster': 4, replica: 'a', ...wrong} as never)).message
    expect(messageOf({admin: '0.0.0.0'})).to.equal('--admin must be IP:PORT, such as 127.0.0.1:6309; got "0.0.0.0"')
    expect(messageOf({listen: '0.0.0.0'})).to.contain('such as 127.0.0.1:6305 or [::]:6305;')
    expect(messageOf({'pages-listen': '0.0.0.0'}))
      .to.contain('--pages-listen')
      .and.to.contain('such as 127.0.0.1:6306 or [::]:6306;')
  })

  it('cluster values: --bind-address, --local-address and --port are named, with what was given', () => {
    const messageOf = (flags: Parameters<typeof bootstrapOptions>[0]): string =>
      thrownBy(() => bootstrapOptions(flags, 'paris', '/etc/envoy-paris')).message
    for (const text of ['1.2.3', 'localhost', '10.0.0.7:11901', 'a b'])
      for (const flag of ['bind-address', 'local-address'])
        expect(messageOf({[flag]: text})).to.equal(`--${flag} must be an IP address, such as 127.0.0.1; got "${text}"`)
    for (const text of ['11901', '11901=21901=1'])
      expect(messageOf({port: [text]})).to.equal(`--port must be PORT=LISTENED, such as 11901=21901; got "${text}"`)
  })

  it('cluster values: a relative --envoy-directory, and a port on which that Envoy does not listen, are refused', () => {
    const messageOf = (flags: BootstrapFlags, owner: Owner = parseClusterName('paris')): string =>
      thrownBy(() => requireMeant(flags, owner)).message
    for (const text of ['envoy', './envoy', '../envoy', '~/envoy'])
      expect(messageOf({'envoy-directory': text})).to.equal(
        `--envoy-directory must be the full path of the directory, such as /etc/envoy; got "${text}"`,
      )
    expect(messageOf({port: ['11901=21901', '10901=20901']})).to.equal(
      '--port must be PORT=LISTENED, PORT one on which the Envoy of paris listens: 10903, 11901, 11902, 11903, 11904; got "10901"',
    )
    expect(messageOf({port: ['11901=21901']}, OBSERVABILITY)).to.contain('listens: 10900, 10901, 10902, 10903, 10904; got "11901"')
    expect(messageOf({port: ['11901=21901,11901=31901']})).to.equal('--port must be each port once; got "11901 twice"')
    for (const [owner, port] of [
      [parseClusterName('paris'), ['10903=20903', '11904=21904']],
      [OBSERVABILITY, ['10900=443', '10904=20904']],
      [OBSERVABILITY, ['off']],
    ] as const)
      expect(() => requireMeant({'envoy-directory': '/etc/envoy paris', port: [...port]}, owner)).not.to.throw()
    expect(() => requireMeant({}, OBSERVABILITY)).not.to.throw()
  })

  it('cluster add: --port is named', () => {
    const {message} = thrownBy(() => requestOf({port: ['11901']} as never, 'paris'))
    expect(message).to.match(/^--port must be a list such as 11901=30901, .*; got "11901"$/)
  })
})
