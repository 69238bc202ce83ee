/** Ways to show who one is, alone and in pairs, and the wish to be another user. */
import type {Servers} from '../servers.js'
import {type Row, SECRET, base64, config, main, row} from './row.js'

type User = (servers: Servers) => object

/** Each way to show who one is. */
const ways = {
  token: () => ({token: SECRET}),
  tokenFile: () => ({tokenFile: 'token'}),
  username: () => ({username: 'u', password: SECRET}),
  'client certificate': ({client}: Servers) => ({
    'client-certificate-data': base64(client.certificate),
    'client-key-data': base64(client.key),
  }),
  exec: () => ({exec: {apiVersion: 'client.authentication.k8s.io/v1', command: './give.sh', interactiveMode: 'Never'}}),
  'auth-provider': () => ({
    'auth-provider': {name: 'oidc', config: {'idp-issuer-url': 'https://127.0.0.1:1', 'client-id': 'c', 'id-token': idToken(3600)}},
  }),
} satisfies Record<string, User>

type Way = keyof typeof ways

/** Two of them that exclude each other. */
const excluded: readonly (readonly [Way, Way])[] = [
  ['token', 'username'],
  ['tokenFile', 'username'],
  ['exec', 'auth-provider'],
]

const given = Object.keys(ways) as Way[]
const alone = given.map((way): Row => wayRow(way, 'reaches', ways[way]))
const pairs = given.flatMap((first, index) =>
  given.slice(index + 1).map((second): Row => {
    const fails = excluded.some(([one, other]) => one === first && other === second)
    return wayRow(`${first} and ${second}`, fails ? 'fails' : 'reaches', servers => ({...ways[first](servers), ...ways[second](servers)}))
  }),
)

const reaches: Readonly<Record<string, User>> = {
  'a token before tokenFile that is missing': () => ({token: SECRET, tokenFile: 'missing'}),
  'a token before tokenFile that is empty': () => ({token: SECRET, tokenFile: 'empty'}),
  'a user name alone': () => ({username: 'u'}),
  'a user name and a password with a colon and other letters': () => ({username: 'ü', password: 'a:b é'}),
  'a client certificate behind a note, with its issuer': ({client, ca}) => ({
    'client-certificate-data': base64(`note\n${client.certificate}${ca.certificate}`),
    'client-key-data': base64(`note\n${client.key}`),
  }),
  'a client certificate as data and a key as a file': ({client}) => ({
    'client-certificate-data': base64(client.certificate),
    'client-key': 'key.pem',
  }),
  'a key without a client certificate': ({client}) => ({token: SECRET, 'client-key-data': base64(client.key)}),
  'a key file that is missing, without a client certificate': () => ({token: SECRET, 'client-key': 'missing'}),
  'another user': () => ({token: SECRET, as: 'other'}),
  'another user in full': () => ({
    token: SECRET,
    as: 'system:serviceaccount:a:b',
    'as-uid': 'u-1',
    'as-groups': ['system:masters', 'a, b', 'é'],
    'as-user-extra': {scopes: ['view', 'edit, all'], 'Example.com/a b%c': ['d'], é: ['é'], none: []},
  }),
  'another user, with a client certificate': servers => ({...ways['client certificate'](servers), as: 'other', 'as-groups': ['g']}),
  'another user, with a program': () => ({...ways.exec(), as: 'other', 'as-groups': ['g']}),
}

const fails: Readonly<Record<string, User>> = {
  'no credentials': () => ({}),
  'another user without credentials': () => ({as: 'other'}),
  'a password without a user name': () => ({password: SECRET}),
  'a token and a password': () => ({token: SECRET, password: SECRET}),
  'a token with a line break': () => ({token: `${SECRET}\n`}),
  'a tokenFile that is missing': () => ({tokenFile: 'missing'}),
  'a tokenFile that is empty': () => ({tokenFile: 'empty'}),
  'a tokenFile with two lines': () => ({tokenFile: 'lines'}),
  'a client certificate without a key': ({client}) => ({'client-certificate-data': base64(client.certificate)}),
  'a key alone': ({client}) => ({'client-key-data': base64(client.key)}),
  'a client certificate twice': servers => ({...ways['client certificate'](servers), 'client-certificate': 'client.pem'}),
  'a key twice': servers => ({...ways['client certificate'](servers), 'client-key': 'key.pem'}),
  "another certificate's key": ({client, ca}) => ({
    'client-certificate-data': base64(client.certificate),
    'client-key-data': base64(ca.key),
  }),
  'a client certificate that is none': ({client}) => ({'client-certificate-data': base64(SECRET), 'client-key-data': base64(client.key)}),
  'a client-certificate that is missing': () => ({'client-certificate': 'missing', 'client-key': 'key.pem'}),
  'a client-key that is missing': () => ({'client-certificate': 'client.pem', 'client-key': 'missing'}),
  'groups without another user': () => ({token: SECRET, 'as-groups': ['g']}),
  'a uid without another user': () => ({token: SECRET, 'as-uid': 'u'}),
  'extra values without another user': () => ({token: SECRET, 'as-user-extra': {a: ['b']}}),
  'an auth provider that was removed': () => ({'auth-provider': {name: 'gcp'}}),
  'an auth provider that does not exist': () => ({'auth-provider': {name: 'unknown'}}),
  'an id-token that has expired': () => ({
    'auth-provider': {name: 'oidc', config: {'idp-issuer-url': 'https://127.0.0.1:1', 'client-id': 'c', 'id-token': idToken(-3600)}},
  }),
}

export const userRows: readonly Row[] = [
  ...alone,
  ...pairs,
  ...Object.entries(reaches).map(([title, user]) => wayRow(title, 'reaches', user)),
  ...Object.entries(fails).map(([title, user]) => wayRow(title, 'fails', user)),
]

function wayRow(title: string, outcome: Row['outcome'], user: User): Row {
  const {given: of} = row(outcome, title, servers => config(main(servers), user(servers)))
  return {
    title: `user: ${title}`,
    outcome,
    given: servers => ({
      files: {
        ...of(servers).files,
        token: `  ${SECRET}-file\n`,
        empty: ' \n',
        lines: `${SECRET}\n${SECRET}\n`,
        'client.pem': servers.client.certificate,
        'key.pem': servers.client.key,
        'give.sh': `#!/bin/sh\necho '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "${SECRET}-exec"}}'\n`,
      },
    }),
  }
}

/** Unsigned; it expires in so many seconds. */
function idToken(seconds: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({alg: 'none'})}.${part({exp: Math.floor(Date.now() / 1000) + seconds})}.c2lnbmF0dXJl`
}
