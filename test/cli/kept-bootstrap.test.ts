/** The flags of a bootstrap are read out of it again, so that writing it again needs none of them. */
import {expect} from 'chai'
import {type BootstrapFlags, bootstrapOptions} from '../../src/lib/cli/flags/bootstrap.js'
import {flagsOf, withKept} from '../../src/lib/cli/flags/kept-bootstrap.js'
import {buildBootstrap} from '../../src/lib/envoy/bootstrap.js'
import {readBootstrap} from '../../src/lib/envoy/read-bootstrap.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {thrownBy} from '../helpers/thrown.js'

const OUTPUT = '/home/me/envoy'
const settings = {...defaultSettings, addresses: parseAddresses('192.0.2.1')}

describe('cli: flags that a bootstrap was written with', () => {
  const text = (flags: BootstrapFlags, owner: typeof OBSERVABILITY | 'paris' = 'paris'): string => {
    const options = bootstrapOptions(flags, owner, flags['envoy-directory'] ?? OUTPUT)
    return buildBootstrap(settings, {...options, owner: owner === OBSERVABILITY ? owner : parseClusterName(owner)})
  }

  const readFrom = (written: string): BootstrapFlags => {
    const found = readBootstrap(written)
    if (found === undefined) throw new Error('no bootstrap was read')
    return flagsOf(found, OUTPUT)
  }

  const all: BootstrapFlags = {
    'envoy-directory': '/etc/envoy paris',
    'node-id': 'paris-7',
    'bind-address': '10.0.0.7',
    'local-address': '127.0.1.1',
    port: ['11901=21901', '11904=21904'],
    'open-files': '4096',
    'max-heap-bytes': '4294967296',
    'upstream-tls': ['internal', 'openshift:client'],
    admin: '/run/atlas/admin.sock',
    stats: '[::1]:9999',
  }

  for (const owner of ['paris', OBSERVABILITY] as const)
    it(`all of them, of ${owner}, are read as they were given, and none that is the default`, () => {
      const flags = owner === 'paris' ? all : {...all, 'envoy-directory': '/srv/atlas'}
      const possible = owner === 'paris' ? {...flags, 'envoy-directory': '/etc/envoy'} : flags
      expect(readFrom(text(possible, owner))).to.deep.equal(possible)
      expect(readFrom(text({}, owner))).to.deep.equal({})
      for (const [name, value] of Object.entries(possible))
        expect(readFrom(text({[name]: value}, owner)), name).to.deep.equal({[name]: value})
    })

  it('a default that follows from another flag is not kept: it follows the new value', () => {
    const kept = readFrom(text({'envoy-directory': '/etc/envoy', 'local-address': '127.0.1.1'}))
    const {flags} = withKept({'envoy-directory': '/opt/envoy', 'local-address': '127.0.1.2'}, kept)
    expect(text(flags)).to.equal(text({'envoy-directory': '/opt/envoy', 'local-address': '127.0.1.2'}))
  })

  it('a flag that is named takes the place of the one kept; the rest is told, quoted for a shell', () => {
    const {flags, kept} = withKept({stats: '10.0.0.7:9902', port: ['11901=31901']}, all)
    expect(flags).to.deep.equal({...all, stats: '10.0.0.7:9902', port: ['11901=31901']})
    expect(kept.join(' ')).to.equal(
      "--envoy-directory '/etc/envoy paris' --node-id paris-7 --bind-address 10.0.0.7 --local-address 127.0.1.1 --open-files 4096 " +
        '--max-heap-bytes 4294967296 --upstream-tls internal --upstream-tls openshift:client --admin /run/atlas/admin.sock',
    )
  })

  it('a list that is kept is emptied by "off", alone', () => {
    const {flags, kept} = withKept({port: ['off'], 'upstream-tls': ['off']}, all)
    expect(kept.join(' ')).not.to.match(/--port|--upstream-tls/)
    const emptied = readFrom(text(flags))
    expect(emptied).not.to.have.any.keys('port', 'upstream-tls')
    expect(emptied).to.include({stats: '[::1]:9999'})
    for (const flag of ['port', 'upstream-tls'] as const) {
      const {code, message} = thrownBy(() => text({[flag]: ['off', '11901=21901']}))
      expect([code, message]).to.deep.equal(['invalid', `--${flag} off is for an empty list, and has entries beside it`])
    }
  })

  it('of an earlier bootstrap, with its admin pages on a port and no listener for statistics, the rest is kept', () => {
    const bootstrap = JSON.parse(text({'bind-address': '10.0.0.7'})) as Record<string, unknown>
    const earlier = {
      ...bootstrap,
      admin: {address: {socket_address: {address: '127.0.0.1', port_value: 9901}}},
      static_resources: {},
      overload_manager: undefined,
    }
    expect(readFrom(JSON.stringify(earlier))).to.deep.equal({'bind-address': '10.0.0.7'})
  })

  it('what is no bootstrap, or one that Atlas would not admit, is not read', () => {
    const node = {cluster: 'paris', id: 'paris-0'}
    const refused = [
      '',
      'not JSON',
      '[]',
      '{"node": 1}',
      '{}',
      JSON.stringify({node: {...node, id: ''}}),
      JSON.stringify({node: {...node, metadata: {'atlas.bind_address': 'name'}}}),
    ]
    for (const each of refused) expect(readBootstrap(each), each).to.equal(undefined)
    expect(readBootstrap(JSON.stringify({node}))?.node.id).to.equal('paris-0')
  })
})
