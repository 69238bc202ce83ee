/** Proxies: named by the kubeconfig or the environment, of each kind, for both kinds of servers, and what is exempt from them. */
import {type ProxyName, type Servers, THIS_HOST, UNKNOWN_HOST} from '../servers.js'
import {type Given, type Row, SECRET, config, main, remote} from './row.js'

type Case = readonly [title: string, outcome: Row['outcome'], given: (servers: Servers) => Given]

const SCHEMES: Readonly<Record<ProxyName, string>> = {http: 'http', https: 'https', locked: 'http', refusing: 'http', socks5: 'socks5'}
const url = (proxy: ProxyName, {ports}: Servers, login = ''): string => `${SCHEMES[proxy]}://${login}127.0.0.1:${ports[proxy]}`
const plainRemote = ({ports}: Servers, changes: object = {}): object => ({server: `http://${UNKNOWN_HOST}:${ports.plain}`, ...changes})

/** Each kind of proxy, from either place, for each kind of server, with and without user and password. */
const kinds = (['http', 'https', 'socks5'] as const).flatMap(proxy =>
  (['https', 'http'] as const).flatMap(target =>
    ['', 'user:pass%3Aword@', 'only@'].flatMap(login => {
      const cluster = (servers: Servers, changes: object = {}): object => (target === 'https' ? remote : plainRemote)(servers, changes)
      // Over plain HTTP Go verifies a proxy with the machine's authorities, which know nothing of the test's.
      const outcome = proxy === 'https' && target === 'http' ? 'fails' : 'reaches'
      const title = `${proxy} proxy ${login === '' ? '' : `of ${login} `}for ${target}`
      const variable = target === 'https' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
      return [
        [
          `proxy-url: ${title}`,
          outcome,
          servers => ({files: {config: config(cluster(servers, {'proxy-url': url(proxy, servers, login)}))}}),
        ],
        [
          `${variable}: ${title}`,
          outcome,
          servers => ({files: {config: config(cluster(servers))}, environment: {[variable]: url(proxy, servers, login)}}),
        ],
      ] satisfies Case[]
    }),
  ),
)

const fromEnvironment = (title: string, outcome: Row['outcome'], environment: (servers: Servers) => Given['environment']): Case => [
  title,
  outcome,
  servers => ({files: {config: config(remote(servers))}, environment: environment(servers) ?? {}}),
]

const places: readonly Case[] = [
  fromEnvironment('https_proxy in small letters', 'reaches', servers => ({https_proxy: url('http', servers)})),
  fromEnvironment('HTTPS_PROXY before https_proxy', 'reaches', servers => ({
    https_proxy: url('socks5', servers),
    HTTPS_PROXY: url('http', servers),
  })),
  fromEnvironment('HTTPS_PROXY without a scheme', 'reaches', ({ports}) => ({HTTPS_PROXY: `127.0.0.1:${ports.http}`})),
  fromEnvironment('HTTPS_PROXY as a host name without a scheme', 'reaches', ({ports}) => ({HTTPS_PROXY: `localhost:${ports.http}`})),
  fromEnvironment('HTTPS_PROXY as socks5h', 'reaches', ({ports}) => ({HTTPS_PROXY: `socks5h://127.0.0.1:${ports.socks5}`})),
  fromEnvironment('HTTP_PROXY for a server with TLS', 'fails', servers => ({HTTP_PROXY: url('http', servers)})),
  fromEnvironment('ALL_PROXY', 'fails', servers => ({ALL_PROXY: url('http', servers)})),
  fromEnvironment('a proxy that refuses', 'fails', servers => ({HTTPS_PROXY: url('refusing', servers)})),
  fromEnvironment('a proxy that wants a password', 'fails', servers => ({HTTPS_PROXY: url('locked', servers, `user:${SECRET}@`)})),
  fromEnvironment('a proxy that gets its password', 'reaches', servers => ({HTTPS_PROXY: url('locked', servers, 'user:pass%3Aword@')})),
  fromEnvironment('a proxy that does not listen', 'fails', () => ({HTTPS_PROXY: 'http://127.0.0.1:1'})),
  fromEnvironment('a proxy that speaks another language', 'fails', ({ports}) => ({HTTPS_PROXY: `socks5://127.0.0.1:${ports.plain}`})),
  [
    'HTTPS_PROXY for a server without TLS',
    'fails',
    servers => ({files: {config: config(plainRemote(servers))}, environment: {HTTPS_PROXY: url('http', servers)}}),
  ],
  [
    'HTTPS_PROXY for a loopback address',
    'reaches',
    servers => ({files: {config: config(main(servers))}, environment: {HTTPS_PROXY: url('refusing', servers)}}),
  ],
  [
    'HTTPS_PROXY for localhost',
    'reaches',
    servers => ({
      files: {config: config(main(servers, {server: `https://localhost:${servers.ports.main}`}))},
      environment: {HTTPS_PROXY: url('refusing', servers)},
    }),
  ],
  ['HTTPS_PROXY for an address of this machine', 'reaches', servers => thisHost(servers, {HTTPS_PROXY: url('http', servers)})],
  [
    'proxy-url for a loopback address',
    'reaches',
    servers => ({files: {config: config(main(servers, {'proxy-url': url('http', servers)}))}}),
  ],
  [
    'proxy-url before HTTPS_PROXY',
    'reaches',
    servers => ({
      files: {config: config(remote(servers, {'proxy-url': url('socks5', servers)}))},
      environment: {HTTPS_PROXY: url('refusing', servers)},
    }),
  ],
  [
    'proxy-url of a server that NO_PROXY names',
    'reaches',
    servers => ({files: {config: config(remote(servers, {'proxy-url': url('http', servers)}))}, environment: {NO_PROXY: '*'}}),
  ],
  ['proxy-url of an unknown scheme', 'fails', servers => ({files: {config: config(main(servers, {'proxy-url': 'ftp://127.0.0.1:1'}))}})],
  [
    'proxy-url as socks5h',
    'fails',
    servers => ({files: {config: config(main(servers, {'proxy-url': `socks5h://127.0.0.1:${servers.ports.socks5}`}))}}),
  ],
  [
    'proxy-url without a scheme',
    'fails',
    servers => ({files: {config: config(main(servers, {'proxy-url': `127.0.0.1:${servers.ports.http}`}))}}),
  ],
  [
    'an https proxy, and tls-server-name',
    'reaches',
    servers => ({files: {config: config(remote(servers, {'proxy-url': url('https', servers), 'tls-server-name': 'kubernetes'}))}}),
  ],
  [
    'an https proxy, and a client certificate',
    'reaches',
    servers => ({files: {config: config(remote(servers, {'proxy-url': url('https', servers)}), certificateOf(servers))}}),
  ],
  [
    'an https proxy that is not verified',
    'reaches',
    servers => ({
      files: {
        config: config({
          server: `https://${UNKNOWN_HOST}:${servers.ports.other}`,
          'insecure-skip-tls-verify': true,
          'proxy-url': url('https', servers),
        }),
      },
    }),
  ],
  [
    'an https proxy of another authority',
    'fails',
    servers => ({files: {config: config(remote(servers, {'proxy-url': `https://127.0.0.1:${servers.ports.other}`}))}}),
  ],
]

/** Of each entry, whether it exempts: the host that only a proxy reaches, then the address that is reached both ways. */
const noProxy: readonly (readonly [entry: (port: number) => string, host: boolean | undefined, address: boolean | undefined])[] = [
  [() => '*', true, true],
  [() => ' other.example , * ', true, true],
  [() => UNKNOWN_HOST, true, false],
  [() => UNKNOWN_HOST.toUpperCase(), true, undefined],
  [() => 'corp.example', true, undefined],
  [() => '.corp.example', true, undefined],
  [() => '*.corp.example', true, undefined],
  [() => 'orp.example', false, undefined],
  [() => `.${UNKNOWN_HOST}`, false, undefined],
  [port => `corp.example:${port}`, true, undefined],
  [() => 'corp.example:1', false, undefined],
  [() => 'https://corp.example', false, undefined],
  [() => ',,', false, false],
  [() => THIS_HOST, undefined, true],
  [port => `${THIS_HOST}:${port}`, undefined, true],
  [() => `${THIS_HOST}:1`, undefined, false],
  [() => '0.0.0.0/8', undefined, true],
  [() => '1.2.3.4/0', false, true],
  [() => '10.0.0.0/8,::/0', undefined, false],
  [() => '0.0.0', undefined, false],
]

const exempt = noProxy.flatMap(([entry, host, address]) => {
  const environment = (servers: Servers): Record<string, string> => ({
    HTTPS_PROXY: url('http', servers),
    NO_PROXY: entry(servers.ports.main),
  })
  const title = entry(443).replace('a'.repeat(64), 'HOST').replace('A'.repeat(64), 'HOST')
  const ofHost: Case = [
    `NO_PROXY=${title} for a name`,
    host === true ? 'fails' : 'reaches',
    servers => ({files: {config: config(remote(servers))}, environment: environment(servers)}),
  ]
  const ofAddress: Case = [`NO_PROXY=${title} for an address`, 'reaches', servers => thisHost(servers, environment(servers))]
  return [...(host === undefined ? [] : [ofHost]), ...(address === undefined ? [] : [ofAddress])]
})

export const proxyRows: readonly Row[] = [...kinds, ...places, ...exempt].map(([title, outcome, given]): Row => ({title, outcome, given}))

function thisHost(servers: Servers, environment: Record<string, string>): Given {
  return {files: {config: config(main(servers, {server: `https://${THIS_HOST}:${servers.ports.main}`}))}, environment}
}

function certificateOf({client}: Servers): object {
  return {
    'client-certificate-data': Buffer.from(client.certificate).toString('base64'),
    'client-key-data': Buffer.from(client.key).toString('base64'),
  }
}
