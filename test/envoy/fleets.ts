/** Each kind of snapshot: each has a golden file, and a real Envoy validates each. */
import {defaultPages} from '../../src/lib/model/page.js'
import {parseAddresses} from '../../src/lib/model/address.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import type {Node} from '../../src/lib/model/node.js'
import {defaultSettings, type Settings} from '../../src/lib/model/settings.js'
import {parseInternalClient} from '../../src/lib/model/internal-ports.js'
import {testCluster} from '../helpers/fleet.js'
import {fleetOf, nodeOf, recordsOf} from './fixture.js'

export interface Kind {
  readonly name: string
  /** One sentence: what this snapshot shows. */
  readonly says: string
  readonly fleet: Fleet
  readonly node: Node
}

export const settings: Settings = {...defaultSettings, addresses: parseAddresses('198.51.100.1,atlas.example.com')}

const paris = testCluster('paris', {replicas: 2})
const lyon = testCluster('lyon', {
  addresses: parseAddresses('203.0.113.9,2001:db8::9,edge.lyon.example.com'),
  ports: new Map([[11_901, 30_901]]),
})
const nice = testCluster('nice', {addresses: []})
const ipv6 = testCluster('oslo', {
  addresses: parseAddresses('2001:db8::5'),
  services: {...paris.services, thanos: {host: '2001:db8::10', port: 10_901}},
})
const far = '2027-01-01T00:00:00.000Z'
const spiffe = 'spiffe://atlas.internal'

export const fleets: readonly Kind[] = [
  {
    name: 'observability-empty',
    says: 'The observability Envoy of a fleet without clusters: its listeners are those of any other fleet.',
    fleet: fleetOf([], {settings}),
    node: nodeOf('atlas'),
  },
  {
    name: 'observability',
    says: 'The observability Envoy: paris with two replicas, lyon by mixed addresses and a port of its own; nice has no address and gets nothing.',
    fleet: fleetOf([paris, lyon, nice], {settings}),
    node: nodeOf('atlas'),
  },
  {
    name: 'observability-denied',
    says: 'The observability Envoy: paris was revoked once and is pinned to generation 2, nice is suspended; 10900 denies both names.',
    fleet: fleetOf([paris], {
      settings,
      records: recordsOf(
        {
          owner: 'paris',
          generation: 2,
          denied: [
            {name: `${spiffe}/ads-client/paris/1`, until: far},
            {name: `${spiffe}/downstream/paris/1`, until: far},
          ],
        },
        {owner: 'nice', suspendedSince: '2026-11-01T00:00:00.000Z'},
      ),
    }),
    node: nodeOf('atlas'),
  },
  {
    name: 'observability-addresses',
    says: 'The observability Envoy on addresses and ports of its own, dual stack towards other clusters, with two named ADS servers.',
    fleet: fleetOf([ipv6], {
      settings: {
        ...settings,
        adsServers: [
          {host: '127.0.0.1', port: 6305},
          {host: '127.0.0.2', port: 6306},
        ],
      },
    }),
    node: nodeOf('atlas', {
      'atlas.bind_address': '::',
      'atlas.local_address': '10.0.0.7',
      'atlas.ports': {'10900': 20_900, '10901': 20_901},
    }),
  },
  {
    name: 'observability-internal-tls',
    says: 'The observability Envoy whose internal ports speak mutual TLS, on the address for other clusters: 10901 admits two clients by name, the ports for pages another one.',
    fleet: fleetOf([paris], {
      settings: {
        ...settings,
        internalTls: [10_901, 10_902, 10_904],
        clients: ['thanos', 'thanos-ruler', 'ingress:10902,10904'].map(client => parseInternalClient(client)),
      },
    }),
    node: nodeOf('atlas', {'atlas.local_address': '10.0.0.7'}),
  },
  {
    name: 'observability-pages',
    says: 'The observability Envoy with web pages by host name and by path; the Prometheus of paris stands below /prometheus.',
    fleet: fleetOf([{...paris, pages: {...defaultPages, paths: {...defaultPages.paths, prom: '/prometheus'}}}], {
      settings: {...settings, webDomain: 'web.example.com', pagesByPath: true},
    }),
    node: nodeOf('atlas'),
  },
  {
    name: 'downstream-pages',
    says: 'The downstream Envoy of paris, which allows no silences and stands below /prometheus; its Alertmanager would be local, and is refused.',
    fleet: fleetOf(
      [
        {
          ...paris,
          services: {...paris.services, alertmanager: {host: 'localhost', port: 9093}},
          pages: {...defaultPages, allowSilences: false, paths: {...defaultPages.paths, prom: '/prometheus'}},
        },
      ],
      {settings},
    ),
    node: nodeOf('paris'),
  },
  {
    name: 'downstream',
    says: 'The downstream Envoy of paris, whose two sidecars have names.',
    fleet: fleetOf([paris], {settings}),
    node: nodeOf('paris'),
  },
  {
    name: 'downstream-tls',
    says: 'The downstream Envoy of paris, which has certificates for its sidecars and for target store.',
    fleet: fleetOf(
      [
        {
          ...paris,
          replicas: 1,
          thanosTls: {certificates: 'openshift', serverName: 'prometheus-grpc'},
          targets: new Map([['store', {host: '10.0.0.9', port: 10_901, replicas: 1, health: 'tcp', tls: {certificates: 'internal'}}]]),
        },
      ],
      {settings},
    ),
    node: nodeOf('paris', {'atlas.upstream_tls': {directory: '/etc/atlas/envoy/upstream', client: {internal: false, openshift: true}}}),
  },
  {
    name: 'downstream-addresses',
    says: 'The downstream Envoy of oslo, on an address and a port of its own, with a sidecar at an IPv6 address.',
    fleet: fleetOf([ipv6], {settings}),
    node: nodeOf('oslo', {'atlas.bind_address': '127.0.3.1', 'atlas.ports': {'11901': 31_901}}),
  },
]
