/** What is taken as a kubeconfig's text, and what is refused. */
import {dump} from 'js-yaml'
import type {Servers} from '../servers.js'
import {type Row, SECRET, base64, config, main, row} from './row.js'

type Text = (servers: Servers) => string

const yaml: Text = servers => dump(config(main(servers)))
/** A good configuration, and another user that no context names. */
const beside =
  (text: string): Text =>
  servers =>
    yaml(servers).replace('users:\n', `users:\n  - {name: other, user: ${text}}\n`)

const taken: Readonly<Record<string, Text>> = {
  JSON: servers => JSON.stringify(config(main(servers)), undefined, '\t'),
  'JSON with a key twice: the last counts': servers => JSON.stringify(config(main(servers))).replace('"token"', '"token":"first","token"'),
  'YAML in braces': servers =>
    `{clusters: [{name: c, cluster: ${JSON.stringify(main(servers))}}], users: [{name: u, user: {token: ${SECRET}}}], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}`,
  'a key twice: the last counts': servers => yaml(servers).replace(/( +)token: /, '$1token: first\n$1token: '),
  anchors: servers =>
    yaml(servers)
      .replace('users:\n', 'users:\n  - {name: v, user: &u {token: anchored}}\n')
      .replace(/user:\n +token: \S+/, 'user: *u'),
  'merge keys': servers =>
    yaml(servers)
      .replace('users:\n', 'users:\n  - {name: v, user: &u {token: merged, as: other}}\n')
      .replace(/user:\n +token: \S+/, 'user: {<<: *u, as: another}'),
  'two documents: the first counts': servers => `---\n${yaml(servers)}---\ncurrent-context: z\n`,
  'line ends of Windows': servers => yaml(servers).replaceAll('\n', '\r\n'),
  'a byte order mark': servers => `\uFEFF${yaml(servers)}`,
  'comments and unknown keys': servers => `# comment\nunknown: {a: [1]}\n${yaml(servers)}`,
  'no apiVersion and no kind': servers => yaml(servers).replace(/^(?:apiVersion|kind): .*\n/gm, ''),
  'null where a value is absent': beside('{token: ~, as-groups: ~, exec: null, client-key-data: }'),
  'data with line breaks': servers =>
    dump(config(main(servers, {'certificate-authority-data': base64(servers.ca.certificate).replaceAll(/.{64}/g, '$&\n')}))),
  'a date as a token': servers => yaml(servers).replace(/token: .*/, 'token: 2026-01-01'),
  ...Object.fromEntries(['yes', 'on', 'y', 'True'].map(word => [`insecure-skip-tls-verify: ${word}`, servers => insecure(servers, word)])),
}

const refused: Readonly<Record<string, Text>> = {
  'an empty file': () => '',
  'comments only': () => '# nothing\n',
  'a list': () => `- ${SECRET}\n`,
  'a word': () => SECRET,
  'broken YAML': servers => `${yaml(servers)}\n  broken: [${SECRET}`,
  'broken JSON': servers => JSON.stringify(config(main(servers))).slice(0, -5),
  'a tab for indentation': servers => yaml(servers).replace(/^ {2}- /m, '\t- '),
  'another apiVersion': servers => yaml(servers).replace('apiVersion: v1', 'apiVersion: v2'),
  'another kind': servers => yaml(servers).replace('kind: Config', 'kind: Secret'),
  'keys in capitals': servers => yaml(servers).replace('token:', 'Token:'),
  'a user of one name twice': servers => yaml(servers).replace('users:\n', 'users:\n  - {name: u, user: {token: first}}\n'),
  'a number as a token, of another user': beside('{token: 12345}'),
  'a boolean as a password, of another user': beside('{password: no}'),
  'a list as a token, of another user': beside('{token: [a]}'),
  'text as groups, of another user': beside('{as-groups: admins}'),
  'text as extra values, of another user': beside('{as-user-extra: {scopes: view}}'),
  'data that is no base64, of another user': beside('{client-key-data: "a key"}'),
  'data without padding, of another user': beside('{client-key-data: YWI}'),
  'data in the alphabet of URLs, of another user': beside('{client-key-data: "-_-_"}'),
  'a number as an argument, of another user': beside('{exec: {command: a, args: [1]}}'),
  'text as users': servers => yaml(servers).replace(/users:\n(?: .*\n)+/, 'users: u\n'),
  'preferences that are none': servers => `${yaml(servers)}preferences: 3\n`,
  'the word y as a context': servers => yaml(servers).replace('current-context: x', 'current-context: y').replace('name: x', 'name: "y"'),
  'insecure-skip-tls-verify: "true"': servers => insecure(servers, '"true"'),
  'insecure-skip-tls-verify: 1': servers => insecure(servers, '1'),
}

export const textRows: readonly Row[] = [
  ...Object.entries(taken).map(([title, text]) => row('reaches', title, text)),
  ...Object.entries(refused).map(([title, text]) => row('fails', title, text)),
]

function insecure(servers: Servers, word: string): string {
  return dump(config({server: `https://127.0.0.1:${servers.ports.main}`, 'insecure-skip-tls-verify': 'WORD'})).replace('WORD', word)
}
