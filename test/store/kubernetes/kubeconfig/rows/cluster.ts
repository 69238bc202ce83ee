/** The server's address, how its certificate is verified, and what goes over plain HTTP. */
import type {ServerName, Servers} from '../servers.js'
import {type Given, type Row, SECRET, base64, config, main, row} from './row.js'

type Cluster = (servers: Servers) => object

const url = (server: ServerName, {ports}: Servers, host = '127.0.0.1'): string => `https://${host}:${ports[server]}`
const withCa =
  (ca: (servers: Servers) => string, server: ServerName = 'main'): Cluster =>
  servers =>
    main(servers, {server: url(server, servers), 'certificate-authority-data': base64(ca(servers))})

const verified: Readonly<Record<string, Cluster>> = {
  'the authority': main,
  'insecure-skip-tls-verify': servers => ({server: url('other', servers), 'insecure-skip-tls-verify': true}),
  'two authorities, the second of them right': withCa(({ca, otherCa}) => otherCa.certificate + ca.certificate),
  'an authority between notes': withCa(({ca}) => `Issuer: a company\n${ca.certificate}the end\n`),
  'an authority behind a broken one': withCa(({ca}) => `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${ca.certificate}`),
  'an authority that another one has signed': withCa(({intermediate}) => intermediate.certificate, 'below'),
  'the certificate of the server itself': withCa(({mainCertificate}) => mainCertificate),
  'tls-server-name': servers => main(servers, {'tls-server-name': 'kubernetes'}),
  'tls-server-name that is an address': servers =>
    main(servers, {server: url('main', servers, 'localhost'), 'tls-server-name': '127.0.0.1'}),
  'a host name': servers => main(servers, {server: url('main', servers, 'localhost')}),
  'a scheme in capitals': servers => main(servers, {server: url('main', servers).replace('https', 'HTTPS')}),
  'a query behind the address': servers => main(servers, {server: `${url('main', servers)}?a=b#c`}),
  'disable-compression': servers => main(servers, {'disable-compression': true}),
}

const unverified: Readonly<Record<string, Cluster>> = {
  'another authority': withCa(({otherCa}) => otherCa.certificate),
  'no authority': servers => ({server: url('main', servers)}),
  'the authority of the issuer alone, which the server does not send': withCa(({ca}) => ca.certificate, 'below'),
  'an authority that is a key': withCa(({client}) => client.key),
  'an authority that is no PEM': withCa(() => SECRET),
  'an authority and insecure-skip-tls-verify': servers => main(servers, {'insecure-skip-tls-verify': true}),
  'tls-server-name that the certificate has not': servers => main(servers, {'tls-server-name': 'elsewhere'}),
  'tls-server-name that is an address that the certificate has not': servers => main(servers, {'tls-server-name': '127.0.0.2'}),
  'a certificate with a common name only': servers => main(servers, {server: url('unnamed', servers, 'localhost')}),
  'a certificate-authority that is missing': servers => ({server: url('main', servers), 'certificate-authority': 'missing.pem'}),
  'no server': servers => main(servers, {server: ''}),
  'a server of another scheme': servers => main(servers, {server: url('main', servers).replace('https', 'ftp')}),
  'a server that is no address': servers => main(servers, {server: 'https://a b'}),
  'a server without a scheme, where TLS is spoken': ({ports}) => ({server: `127.0.0.1:${ports.main}`}),
  'a server without a scheme, with a path': ({ports}) => ({server: `127.0.0.1:${ports.plain}/path`}),
  'a server that does not listen': () => ({server: 'https://127.0.0.1:1', 'insecure-skip-tls-verify': true}),
}

/** What a plain server gets: no credentials, but the wish to be another user. */
const plain: Readonly<Record<string, (servers: Servers) => object>> = {
  'a token': ({ports}) => config({server: `http://127.0.0.1:${ports.plain}`}),
  'a token, without a scheme': ({ports}) => config({server: `127.0.0.1:${ports.plain}`}),
  'a host name without a scheme': ({ports}) => config({server: `localhost:${ports.plain}`}),
  'no credentials': ({ports}) => config({server: `http://127.0.0.1:${ports.plain}`}, {}),
  'a user name': ({ports}) => config({server: `http://127.0.0.1:${ports.plain}`}, {username: 'u', password: SECRET}),
  'another user': ({ports}) => config({server: `http://127.0.0.1:${ports.plain}`}, {token: SECRET, as: 'other', 'as-groups': ['g']}),
  'a program that would fail': ({ports}) =>
    config(
      {server: `http://127.0.0.1:${ports.plain}`},
      {exec: {apiVersion: 'client.authentication.k8s.io/v1', command: 'missing', interactiveMode: 'Never'}},
    ),
  'a tokenFile that is missing': ({ports}) => config({server: `http://127.0.0.1:${ports.plain}`}, {tokenFile: 'missing'}),
  'an authority that is none': ({ports}) =>
    config({server: `http://127.0.0.1:${ports.plain}`, 'certificate-authority-data': 'YQ==', 'insecure-skip-tls-verify': true}),
  'a user in the address': ({ports}) => config({server: `http://a:b%20c@127.0.0.1:${ports.plain}`}),
}

const files: readonly (readonly [title: string, outcome: Row['outcome'], given: (servers: Servers) => Given])[] = [
  ['an absolute certificate-authority', 'reaches', servers => caFile(servers, 'FOLDER/ca.pem', servers.ca.certificate)],
  ['a certificate-authority that is empty', 'fails', servers => caFile(servers, 'ca.pem', '')],
  ['a certificate-authority that is a directory', 'fails', servers => caFile(servers, '.', servers.ca.certificate)],
  [
    'certificate-authority and certificate-authority-data',
    'fails',
    servers => ({files: {config: config(main(servers, {'certificate-authority': 'ca.pem'})), 'ca.pem': servers.ca.certificate}}),
  ],
  [
    'a certificate-authority that is missing, over plain HTTP',
    'fails',
    ({ports}) => ({files: {config: config({server: `http://127.0.0.1:${ports.plain}`, 'certificate-authority': 'missing.pem'})}}),
  ],
  [
    'an authority of the machine',
    'reaches',
    servers => ({
      files: {config: config({server: url('main', servers)}), 'roots.pem': servers.ca.certificate},
      environment: {SSL_CERT_FILE: 'FOLDER/roots.pem', SSL_CERT_DIR: 'FOLDER'},
      isProgram: true,
    }),
  ],
  ['a path behind the address', 'reaches', servers => versionBelow(servers, '/a')],
  ['a path behind the address that ends in a slash', 'reaches', servers => versionBelow(servers, '/c/d', '/?e=f')],
  [
    'a user in the address',
    'reaches',
    servers => ({
      files: {
        config: config(main(servers, {server: url('main', servers).replace('//', '//a:b@')}), {
          as: 'c',
          'client-certificate-data': base64(servers.client.certificate),
          'client-key-data': base64(servers.client.key),
        }),
      },
    }),
  ],
]

export const clusterRows: readonly Row[] = [
  ...Object.entries(verified).map(([title, cluster]) => row('reaches', title, servers => config(cluster(servers)))),
  ...Object.entries(unverified).map(([title, cluster]) => row('fails', title, servers => config(cluster(servers)))),
  ...Object.entries(plain).map(([title, file]) => row('reaches', `over plain HTTP, ${title}`, file)),
  ...files.map(([title, outcome, given]): Row => ({title, outcome, given})),
]

function caFile(servers: Servers, name: string, content: string): Given {
  return {files: {config: config({server: url('main', servers), 'certificate-authority': name}), 'ca.pem': content}}
}

function versionBelow(servers: Servers, below: string, rest = ''): Given {
  return {files: {config: config(main(servers, {server: `${url('main', servers)}${below}${rest}`}))}, below}
}
