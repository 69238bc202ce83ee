/** Any fleet that can be: names, addresses, numbers and texts at random, certificates from a small stock. */
import fc, {type Arbitrary} from 'fast-check'
import {type Rotation, rotationParts, stagesOf} from '../../src/lib/model/rotation.js'
import {ENDPOINTS_MAX} from '../../src/lib/model/thanos-target.js'
import {type Address, type HostPort, isDnsName, parseAddress} from '../../src/lib/model/address.js'
import {
  type AuthorityPart,
  type CertifiedKey,
  type Credential,
  type CredentialRecord,
  type DeniedName,
  type NextPart,
  type OwnerRecord,
  authorityParts,
  nextParts,
} from '../../src/lib/model/authority.js'
import {type Cluster, type DownstreamPort, type Pages, type ServiceTarget, downstreamPorts} from '../../src/lib/model/cluster.js'
import type {EndpointTls} from '../../src/lib/model/endpoint-tls.js'
import {unreachableKind} from '../../src/lib/model/ip-address.js'
import {parseDuration} from '../../src/lib/model/duration.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {type ClusterName, type Owner, parseClientName, parseClusterName} from '../../src/lib/model/names.js'
import {type Settings, defaultSettings} from '../../src/lib/model/settings.js'
import {type InternalClient, clientsOf, internalPorts} from '../../src/lib/model/internal-ports.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'

const stock = testFleet(testDependencies(), ['a', 'b', 'c'])
const signer = (part: AuthorityPart): string => stock.authority.get(part)?.certificate ?? ''
const [root, issuer, credentialIssuer] = [signer('root'), signer('issuer'), signer('credentialIssuer')]

/** Texts that some YAML library takes for something else (`on`, `1_000`, `0o17`, `12:30:45`), or that a careless writer garbles. */
export const trickyTexts: readonly string[] = [
  ...[
    '',
    ' ',
    '~',
    'null',
    'yes',
    'no',
    'on',
    'off',
    'y',
    'n',
    'N',
    'OFF',
    'True',
    'false',
    '=',
    '<<',
    '-',
    '--- ',
    '...',
    '?',
    ':',
    '!',
    '!x',
  ],
  ...[
    '012',
    '0o17',
    '017',
    '1_000',
    '0b11',
    '0x1F',
    '1e3',
    '12:30:45',
    '2020-01-01',
    '.inf',
    '-.INF',
    '.nan',
    '1.',
    '+1',
    '-0',
    '0',
    '1.0',
  ],
  ...['a: b', 'a #b', '#a', '- a', '[a', '{a', '*a', '&a', '|', '>', '%a', '@a', '`a', '"a', "'a", 'a\\n', 'a"b', "a'b"],
  ...[
    'a\n',
    'a\n\n',
    '\na',
    ' a\n b',
    'a \nb',
    '\ta',
    'a\t',
    'a\r\nb',
    'a\rb',
    '\u0085',
    '\u2028',
    '\u00A0',
    '\uFEFFa',
    '\u0000',
    '\u007F',
    '\uD800',
    '😀',
  ],
  'x'.repeat(500),
  `${'word '.repeat(60)}end`,
]

const text: Arbitrary<string> = fc.oneof(
  fc.constantFrom(...trickyTexts),
  fc.string({unit: 'binary', maxLength: 40}),
  fc.string({maxLength: 40}),
)

/** Any cluster's name. */
export const names: Arbitrary<ClusterName> = fc
  .oneof(
    fc.constantFrom(
      'y',
      'n',
      'on',
      'no',
      'null',
      'true',
      'e1',
      'nan',
      'constructor',
      'to-string',
      'atlas-ca',
      'atlas-x',
      'a-envoy-ads',
      'paris',
    ),
    fc
      .stringMatching(/^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$/)
      .filter(name => name.length <= 44 && name !== 'atlas' && !name.includes('-thanos-sidecar')),
  )
  .map(name => parseClusterName(name))

const dns = fc
  .domain()
  .map(name => name.toLowerCase())
  .filter(name => isDnsName(name))
const addresses: Arbitrary<Address> = fc
  .oneof(fc.ipV4(), fc.ipV6(), dns)
  .map(host => parseAddress(host))
  .filter(({kind, host}) => kind === 'dns' || unreachableKind({kind, host}) === undefined)
const ports = fc.integer({min: 1, max: 65_535})
const hostPorts: Arbitrary<readonly HostPort[]> = fc.array(fc.record({host: addresses.map(({host}) => host), port: ports}), {maxLength: 3})
const seconds = fc
  .oneof(
    fc.integer({min: 1, max: 3_000_000_000}).map(each => `${each}s`),
    fc.integer({min: 1, max: 100_000}).map(each => `${each}ms`),
    fc.constantFrom('1y', '30d', '90s', '36h'),
  )
  .map(each => parseDuration(each))
const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/)

const allOf = <T extends object>(model: T): Arbitrary<{[K in keyof T]: number}> =>
  fc.record(Object.fromEntries(Object.keys(model).map(key => [key, seconds]))) as unknown as Arbitrary<{[K in keyof T]: number}>

const clientNames = fc.uniqueArray(
  fc
    .oneof(
      fc.constantFrom('thanos', 'y', 'null', 'constructor'),
      label.filter(name => /^[a-z]/.test(name)),
    )
    .map(name => parseClientName(name)),
  {maxLength: 3},
)

const internalClients: Arbitrary<readonly InternalClient[]> = clientNames.chain(names =>
  fc.tuple(...names.map(name => fc.subarray([...internalPorts], {minLength: 1}).map(ports => ({name, ports})))),
)

const groupName = label.filter(name => /^[a-z]/.test(name) && name.length <= 40)

const plainSettings = {
  trustDomain: dns.filter(name => name.length <= 150),
  addresses: fc.uniqueArray(addresses, {selector: ({host}) => host, maxLength: 3}),
  adsPort: ports,
  alertsPort: ports,
  adsServers: hostPorts,
  pagesServers: hostPorts,
  namespace: label,
  thanosNamespace: label,
  alertmanagers: hostPorts,
  alertmanagerSelector: fc.constantFrom(undefined, {namespace: 'monitoring', selector: 'kubernetes.io/service-name=a,b=c'}),
  clusterDomain: dns,
  endpointTemplate: fc.constantFrom('{service}.{namespace}.svc.{clusterDomain}:10901', '{service}:1', 'dns+x-{service}.example.org:10901'),
  webDomain: fc.option(
    dns.filter(name => name.length <= 190),
    {nil: undefined},
  ),
  pagesByPath: fc.boolean(),
  extraEndpoints: fc.subarray([
    {address: 'a:1'},
    {address: 'dnssrv+_grpc._tcp.b'},
    {address: '[::1]:2', client_config: {server_name: 'c'}},
  ]),
  groups: fc.subarray(['a', 'asia', 'europe-1']),
  clientDirectory: fc.constantFrom('/etc/atlas-client', '/a', '/var/lib/x_1.d/tls'),
  lifetimes: allOf(defaultSettings.lifetimes),
  timeouts: allOf(defaultSettings.timeouts),
}

/** Any settings that can be. */
export const settings: Arbitrary<Settings> = internalClients.chain(clients =>
  fc.record({
    ...plainSettings,
    clients: fc.constant(clients),
    internalTls: fc.subarray(internalPorts.filter(port => clientsOf(clients, port).length > 0)),
  }),
)

const targets = (hasReplicas: boolean): Arbitrary<ServiceTarget> =>
  fc.record({
    host: hasReplicas
      ? fc.constantFrom('prom-{replica}.monitoring.svc', '{replica}.example.org', '10.0.{replica}.x')
      : fc.oneof(
          fc.constantFrom('prom-{replica}.x', 'localhost'),
          addresses.map(({host}) => host),
        ),
    port: ports,
  })

const pagePath = fc.constantFrom('', '/prometheus', '/a/b-c/~d_e.f')

const pages: Arbitrary<Pages> = fc.record({
  thanosHttpPort: ports,
  paths: fc.record({alertmanager: pagePath, prom: pagePath, thanos: pagePath}),
  allowAdmin: fc.boolean(),
  allowSilences: fc.boolean(),
  allowLocalTargets: fc.boolean(),
})

const targetsOf = (name: ClusterName): Arbitrary<Cluster['targets']> =>
  fc
    .uniqueArray(fc.constantFrom('a', 'ruler', 'store-1', 'y'), {maxLength: name.length > 36 ? 0 : 3})
    .chain(names => fc.tuple(...names.sort().map(target => fc.tuple(fc.constant(target), fc.oneof(targets(false), targets(true))))))
    .map(
      entries =>
        new Map(
          entries.map(([target, at]) => {
            const isMany = at.host.includes('{replica}')
            return [
              target,
              {...at, replicas: isMany ? 2 : 1, health: isMany ? 'tcp' : 'grpc', ...(isMany && {tls: {certificates: 'a-1'}})},
            ] as const
          }),
        ),
    )

const endpointTls: Arbitrary<EndpointTls> = fc.record(
  {certificates: fc.constantFrom('a', 'openshift', 'x-1'), serverName: fc.constantFrom('prometheus-grpc', 'a.b.svc')},
  {requiredKeys: ['certificates']},
)

const clusterOf = (name: ClusterName): Arbitrary<Cluster> =>
  fc
    .integer({min: 1, max: ENDPOINTS_MAX - 6})
    .chain(replicas =>
      fc.record({
        name: fc.constant(name),
        addresses: fc.uniqueArray(addresses, {selector: ({host}) => host, maxLength: 3}),
        ports: fc
          .uniqueArray(fc.tuple(fc.constantFrom(...Object.values(downstreamPorts)), ports), {selector: ([port]) => port, maxLength: 4})
          .map((each): ReadonlyMap<DownstreamPort, number> => new Map(each)),
        replicas: fc.constant(replicas),
        services: fc.record({thanos: targets(replicas > 1), prometheus: targets(false), alertmanager: targets(false)}),
        thanosHealth: fc.constantFrom('grpc', 'tcp'),
        targets: targetsOf(name),
        pages,
        groups: fc.uniqueArray(fc.oneof(groupName, fc.constantFrom('a-1', 'constructor')), {maxLength: 3}).map(groups => groups.sort()),
      }),
    )
    .chain(cluster => fc.option(endpointTls, {nil: undefined}).map(tls => ({...cluster, ...(tls && {thanosTls: tls})})))

const times = fc.date({min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true}).map(time => time.toISOString())
const hex = fc.stringMatching(/^[0-9a-f]{64}$/)
const credentialRecord: Arbitrary<CredentialRecord> = fc.record(
  {
    sha256: hex,
    serial: fc.stringMatching(/^[0-9a-f]{32}$/),
    notBefore: times,
    notAfter: times,
    rootsDigest: hex,
    state: fc.constantFrom('revoked', 'valid'),
    supersededSince: times,
    retiredAt: times,
  },
  {requiredKeys: ['sha256', 'serial', 'notAfter', 'rootsDigest', 'state']},
)
const deniedOf = (owner: Owner): Arbitrary<DeniedName> =>
  fc.record({name: fc.constantFrom('downstream', 'ads-client').map(kind => `spiffe://atlas.internal/${kind}/${owner}/1`), until: times})

const recordOf = (owner: Owner): Arbitrary<OwnerRecord> =>
  fc
    .record(
      {
        owner: fc.constant(owner),
        generation: fc.integer({min: 1, max: 1_000_000}),
        suspendedSince: times,
        revokedSince: times,
        removing: fc.stringMatching(/^[0-9a-f]{1,12}$/),
        ...(owner !== 'atlas' && {registration: clusterOf(owner)}),
        credentials: fc.array(credentialRecord, {maxLength: 3}),
        denied: fc.array(deniedOf(owner), {maxLength: 3}),
      },
      {requiredKeys: ['owner', 'generation', 'credentials', 'denied']},
    )
    .map(record => record as OwnerRecord)

const keys: Arbitrary<CertifiedKey> = fc.constantFrom(...stock.identities.values())
const credentials: Arbitrary<Credential> = fc.constantFrom(...stock.credentials.values())
const bundle = (...pem: readonly string[]): Arbitrary<readonly string[]> => fc.uniqueArray(fc.constantFrom(...pem), {minLength: 1})

const mapOf = <K extends string, V>(some: readonly K[], value: (key: K) => Arbitrary<V>): Arbitrary<ReadonlyMap<K, V>> =>
  fc
    .tuple(...some.map(key => fc.option(value(key), {nil: undefined, freq: 4})))
    .map(values => new Map(some.flatMap((key, index): [K, V][] => (values[index] === undefined ? [] : [[key, values[index]]]))))

const alertmanagers = fc
  .uniqueArray(fc.record({name: label, host: addresses.map(({host}) => host), port: ports}), {selector: ({name}) => name, maxLength: 3})
  .map(found => found.sort((a, b) => (a.name < b.name ? -1 : 1)))

/** Of one namespace: objects of another installation would be refused. */
const marks = text.map(domain => `a/${domain}`)

const rotations: Arbitrary<Rotation> = fc
  .constantFrom(...rotationParts)
  .chain(part =>
    fc.record(
      {
        part: fc.constant(part),
        stage: fc.constantFrom(...stagesOf(part)),
        startedAt: times,
        since: times,
        skipped: fc.uniqueArray(names, {maxLength: 3}),
        given: fc.dictionary(fc.constantFrom(...authorityParts), hex, {minKeys: 1, maxKeys: 3, noNullPrototype: true}),
        waitingFor: fc.array(names, {maxLength: 3}),
      },
      {requiredKeys: ['part', 'stage', 'startedAt', 'since', 'skipped', 'waitingFor']},
    ),
  )

/** Any fleet, complete or not. */
export const fleets: Arbitrary<Fleet> = fc.uniqueArray(names, {maxLength: 5}).chain(clusters => {
  const owners: readonly Owner[] = ['atlas', ...clusters]
  return fc.record({
    settings: fc.option(settings, {nil: undefined, freq: 5}),
    alertmanagers: fc.option(alertmanagers, {nil: undefined}),
    authority: mapOf<AuthorityPart | NextPart, CertifiedKey>([...authorityParts, ...Object.values(nextParts)], () => keys),
    rotation: fc.option(rotations, {nil: undefined}),
    trust: fc.option(
      fc.record({roots: bundle(root, issuer), issuers: bundle(issuer, root), credentialIssuers: bundle(credentialIssuer, root)}),
      {nil: undefined},
    ),
    server: fc.option(keys, {nil: undefined}),
    registrations: mapOf(clusters, clusterOf),
    records: mapOf(owners, recordOf),
    identities: mapOf(owners, () => keys),
    credentials: mapOf(owners, () => credentials),
    clients: mapOf(
      ['thanos', 'y', 'constructor'].map(name => parseClientName(name)),
      () => credentials,
    ),
    endpoints: fc.option(fc.record({text, installation: marks}, {requiredKeys: ['text']}), {nil: undefined}),
    groupEndpoints: mapOf(['a', 'europe-1'], () => fc.record({text, installation: marks}, {requiredKeys: ['text']})),
    derived: fc.constant(emptyFleet.derived),
    external: fc.constant(emptyFleet.external),
    offeredRoots: fc.constant(emptyFleet.offeredRoots),
    requests: fc.constant(emptyFleet.requests),
    answers: fc.constant(emptyFleet.answers),
    reports: fc.constant(emptyFleet.reports),
    replicas: fc.constant(emptyFleet.replicas),
    faults: fc.constant(emptyFleet.faults),
    revisions: fc.constant(emptyFleet.revisions),
  })
})

/** Labels, annotations, data: any texts under any names. */
export const textMaps: Arbitrary<Readonly<Record<string, string>>> = fc.dictionary(
  fc.oneof(text, fc.constantFrom('1', '__proto__', 'a.b/c')),
  text,
  {maxKeys: 6},
)
