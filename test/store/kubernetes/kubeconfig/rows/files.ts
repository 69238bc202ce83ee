/** Which files count, what they are together, and where relative paths in them start. */
import {type Servers} from '../servers.js'
import {type Given, type Row, SECRET, config, main, row} from './row.js'

const kinds = ['contexts', 'clusters', 'users', 'current-context'] as const

/** Each of a kubeconfig's four parts, in both files: the first file's counts. */
const firstWins = kinds.map((kind): Row => ({
  title: `${kind} in two files of KUBECONFIG`,
  outcome: 'reaches',
  given(servers) {
    const whole = config(main(servers)) as Record<string, unknown>
    const first = {
      contexts: [{name: 'x', context: {cluster: 'c', user: 'second'}}],
      clusters: [{name: 'c', cluster: main(servers, {server: `https://localhost:${servers.ports.main}`})}],
      users: [{name: 'u', user: {token: `${SECRET}-first`}}],
      'current-context': 'y',
    }[kind]
    const others = {
      users: [...(whole['users'] as object[]), {name: 'second', user: {token: `${SECRET}-second`}}],
      contexts: [...(whole['contexts'] as object[]), {name: 'y', context: {cluster: 'c', user: 'second'}}],
    }
    return {files: {a: {[kind]: first}, b: {...whole, ...others}}, environment: {KUBECONFIG: 'a:b'}}
  },
}))

/** Each key that names a file, relative, in the second of two files in folders of their own. */
const relativePaths = Object.entries({
  'certificate-authority': (servers: Servers) => ({
    config: config(main(servers, {'certificate-authority-data': undefined, 'certificate-authority': 'pki/ca.pem'})),
    'pki/ca.pem': servers.ca.certificate,
  }),
  'client-certificate and client-key': (servers: Servers) => ({
    config: config(main(servers), {'client-certificate': '../b/client.pem', 'client-key': './key.pem'}),
    'client.pem': servers.client.certificate,
    'key.pem': servers.client.key,
  }),
  tokenFile: (servers: Servers) => ({config: config(main(servers), {tokenFile: 'token'}), token: `${SECRET}\n`}),
  'exec.command': (servers: Servers) => ({
    config: config(main(servers), {exec: {apiVersion: 'client.authentication.k8s.io/v1beta1', command: './give.sh'}}),
    'give.sh': `#!/bin/sh\necho '{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {"token": "${SECRET}"}}'\n`,
  }),
}).map(([key, files]): Row => ({
  title: `a relative ${key} in the second of two files`,
  outcome: 'reaches',
  given: servers => ({
    files: {'a/config': {users: [{name: 'other'}]}, ...prefixed('b', files(servers))},
    environment: {KUBECONFIG: 'a/config:FOLDER/b/config'},
  }),
}))

const chosen: readonly (readonly [title: string, outcome: Row['outcome'], given: (good: object, servers: Servers) => Given])[] = [
  [
    'a relative KUBECONFIG',
    'reaches',
    good => ({files: {'deep/config': good}, directory: 'deep', environment: {KUBECONFIG: '../deep/config'}}),
  ],
  ['~/.kube/config without KUBECONFIG', 'reaches', good => ({files: {'home/.kube/config': good}, environment: {KUBECONFIG: ''}})],
  [
    'KUBECONFIG before ~/.kube/config',
    'reaches',
    (good, servers) => ({files: {config: good, 'home/.kube/config': config(main(servers), {token: 'other'})}}),
  ],
  [
    'KUBECONFIG without a name, and ~/.kube/config',
    'fails',
    good => ({files: {'home/.kube/config': good}, environment: {KUBECONFIG: ':'}}),
  ],
  [
    'KUBECONFIG with a missing file before another',
    'reaches',
    good => ({files: {config: good}, environment: {KUBECONFIG: 'missing::config'}}),
  ],
  [
    'KUBECONFIG with missing files only, and ~/.kube/config',
    'fails',
    good => ({files: {'home/.kube/config': good}, environment: {KUBECONFIG: 'missing'}}),
  ],
  ['KUBECONFIG with one file twice', 'reaches', good => ({files: {config: good}, environment: {KUBECONFIG: 'config:config'}})],
  [
    'KUBECONFIG with a malformed file behind a good one',
    'fails',
    good => ({files: {config: good, b: '{['}, environment: {KUBECONFIG: 'config:b'}}),
  ],
  ['KUBECONFIG with a directory', 'fails', good => ({files: {config: good, 'b/c': ''}, environment: {KUBECONFIG: 'config:b'}})],
  ['KUBECONFIG with a path through a file', 'fails', good => ({files: {config: good}, environment: {KUBECONFIG: 'config:config/b'}})],
  [
    '--kubeconfig before KUBECONFIG',
    'reaches',
    (good, servers) => ({
      files: {named: good, config: config(main(servers), {token: 'other'})},
      kubeconfig: 'named',
      environment: {KUBECONFIG: 'config'},
    }),
  ],
  [
    '--kubeconfig of a missing file, and KUBECONFIG',
    'fails',
    good => ({files: {config: good}, kubeconfig: 'missing', environment: {KUBECONFIG: 'config'}}),
  ],
  ['parts in three files', 'reaches', good => ({files: parts(good), environment: {KUBECONFIG: 'clusters:users:contexts'}})],
  [
    'a user of one name in two files, which are not mixed',
    'reaches',
    (good, {client}) => ({
      files: {
        a: good,
        b: {users: [{name: 'u', user: {'client-certificate-data': Buffer.from(client.certificate).toString('base64'), as: 'b'}}]},
      },
      environment: {KUBECONFIG: 'a:b'},
    }),
  ],
  [
    'a relative path in a file behind a link: it starts from the link',
    'reaches',
    (_, servers) => ({
      files: {'real/config': config(main(servers), {tokenFile: 'token'}), 'real/token': 'other', 'link/token': SECRET},
      links: {'link/config': '../real/config'},
      environment: {KUBECONFIG: 'link/config'},
    }),
  ],
]

const contexts: readonly Row[] = [
  row('reaches', '--context', servers => withContexts(servers, 'x'), {context: 'y'}),
  row('fails', '--context that is missing', servers => withContexts(servers, 'x'), {context: 'z'}),
  row('fails', 'a current context that is missing', servers => withContexts(servers, 'z')),
  row('fails', 'no current context', servers => withContexts(servers, '')),
  row('fails', 'a context whose cluster is missing', servers => withContexts(servers, 'no-cluster')),
  row('fails', 'a context whose user is missing', servers => withContexts(servers, 'no-user')),
  row('fails', 'a context without a user', servers => withContexts(servers, 'bare')),
  row('reaches', 'a context whose user is missing, over plain HTTP', servers =>
    withContexts(servers, 'no-user', `http://127.0.0.1:${servers.ports.plain}`),
  ),
]

export const fileRows: readonly Row[] = [
  ...chosen.map(([title, outcome, given]): Row => ({title, outcome, given: servers => given(config(main(servers)), servers)})),
  ...firstWins,
  ...relativePaths,
  ...contexts,
]

function withContexts(servers: Servers, current: string, server?: string): object {
  const contexts = {x: ['c', 'u'], y: ['c', 'second'], 'no-cluster': ['missing', 'u'], 'no-user': ['c', 'missing'], bare: ['c', undefined]}
  return {
    ...config(main(servers, server === undefined ? {} : {server})),
    users: [
      {name: 'u', user: {token: SECRET}},
      {name: 'second', user: {token: `${SECRET}-second`}},
    ],
    contexts: Object.entries(contexts).map(([name, [cluster, user]]) => ({name, context: {cluster, ...(user !== undefined && {user})}})),
    'current-context': current,
  }
}

function parts(whole: object): Record<string, object> {
  const {clusters, users, ...others} = whole as Record<string, unknown>
  return {clusters: {clusters}, users: {users}, contexts: others}
}

function prefixed(folder: string, files: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]))
}
