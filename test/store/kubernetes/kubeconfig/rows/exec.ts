/** Programs that give credentials: how they are found, what they are given, which answers are taken. */
import type {Servers} from '../servers.js'
import {type Given, type Row, SECRET, base64, config, main} from './row.js'

const V1 = 'client.authentication.k8s.io/v1'
const V1BETA1 = 'client.authentication.k8s.io/v1beta1'

interface Case {
  readonly exec?: object
  /** Of the cluster. */
  readonly cluster?: object
  readonly user?: object
  /** What the program prints. */
  readonly status?: (servers: Servers) => object
  readonly printed?: string
  readonly code?: number
  readonly environment?: Readonly<Record<string, string>>
}

const reaches: Readonly<Record<string, Case>> = {
  v1: {},
  'v1beta1, whose interactiveMode has a default': {exec: {apiVersion: V1BETA1, interactiveMode: undefined}},
  'a token until a time': {status: () => ({token: SECRET, expirationTimestamp: '2100-01-01T00:00:00Z'})},
  'a client certificate': {status: ({client}) => ({clientCertificateData: client.certificate, clientKeyData: client.key})},
  'a client certificate and a token': {
    status: ({client}) => ({token: SECRET, clientCertificateData: client.certificate, clientKeyData: client.key}),
  },
  'YAML instead of JSON': {printed: `apiVersion: ${V1}\nkind: ExecCredential\nstatus: {token: ${SECRET}}\n`},
  'arguments and environment': {
    exec: {
      args: ['a b', '', '$HOME'],
      env: [
        {name: 'GIVEN', value: 'c d'},
        {name: 'HOME', value: '/elsewhere'},
      ],
    },
  },
  'a program on PATH': {exec: {command: 'give.sh'}, environment: {PATH: 'FOLDER/bin:/usr/bin:/bin'}},
  provideClusterInfo: {exec: {provideClusterInfo: true}},
  'provideClusterInfo with all that a cluster can have': {
    exec: {provideClusterInfo: true},
    cluster: {
      'tls-server-name': 'kubernetes',
      'disable-compression': true,
      extensions: [
        {name: 'client.authentication.k8s.io/exec', extension: {audience: 'a', list: [1, {b: true}]}},
        {name: 'another', extension: {c: 'd'}},
      ],
    },
  },
  'provideClusterInfo without verification': {
    exec: {provideClusterInfo: true},
    cluster: {'insecure-skip-tls-verify': true, 'certificate-authority-data': undefined},
  },
  'interactiveMode IfAvailable': {exec: {interactiveMode: 'IfAvailable'}},
  'an answer with the time of its making': {status: () => ({token: SECRET, unknown: 3})},
}

const fails: Readonly<Record<string, Case>> = {
  'v1 without interactiveMode': {exec: {interactiveMode: undefined}},
  'an unknown interactiveMode': {exec: {interactiveMode: 'Sometimes'}},
  v1alpha1: {exec: {apiVersion: 'client.authentication.k8s.io/v1alpha1'}},
  'v1alpha1 beside a token': {exec: {apiVersion: 'client.authentication.k8s.io/v1alpha1'}, user: {token: SECRET}},
  'no apiVersion': {exec: {apiVersion: undefined}},
  'no command': {exec: {command: ''}},
  'a variable without a name': {exec: {env: [{name: '', value: 'a'}]}},
  'a program that is not installed': {exec: {command: 'atlas-no-such-program', installHint: 'brew install it'}},
  'a program that is missing': {exec: {command: './missing.sh'}},
  'a program that is no program': {exec: {command: './config'}},
  'a program in a relative directory of PATH': {exec: {command: 'give.sh'}, environment: {PATH: 'bin:/usr/bin:/bin'}},
  'a program on the PATH that it is given': {exec: {command: 'give.sh', env: [{name: 'PATH', value: 'FOLDER/bin'}]}},
  'a program that fails': {code: 3},
  'a program that prints nothing': {printed: ''},
  'a program that prints no JSON': {printed: SECRET},
  'an answer of another version': {printed: JSON.stringify({apiVersion: V1BETA1, kind: 'ExecCredential', status: {token: SECRET}})},
  'an answer of another kind': {printed: JSON.stringify({apiVersion: V1, kind: 'Secret', status: {token: SECRET}})},
  'an answer without a status': {printed: JSON.stringify({apiVersion: V1, kind: 'ExecCredential'})},
  'an answer without credentials': {status: () => ({expirationTimestamp: '2100-01-01T00:00:00Z'})},
  'a client certificate without a key': {status: ({client}) => ({clientCertificateData: client.certificate})},
  "a client certificate with another one's key": {
    status: ({client, ca}) => ({clientCertificateData: client.certificate, clientKeyData: ca.key}),
  },
  'an expirationTimestamp that is no time': {status: () => ({token: SECRET, expirationTimestamp: 'tomorrow'})},
  'a number as a token': {status: () => ({token: 3})},
}

export const execRows: readonly Row[] = [
  ...Object.entries(reaches).map(([title, each]) => execRow('reaches', title, each)),
  ...Object.entries(fails).map(([title, each]) => execRow('fails', title, each)),
]

/** What the program notes about how it was run, below the row's folder. */
export const NOTES = ['exec-info', 'arguments', 'environment'] as const

function execRow(outcome: Row['outcome'], title: string, {exec = {}, cluster = {}, user = {}, environment = {}, ...answer}: Case): Row {
  return {
    title: `exec: ${title}`,
    outcome,
    given(servers): Given {
      const {apiVersion = V1} = exec as {apiVersion?: string}
      const status = answer.status?.(servers) ?? {token: SECRET}
      const printed = answer.printed ?? JSON.stringify({apiVersion, kind: 'ExecCredential', status})
      const program = [
        '#!/bin/sh',
        'printf "%s" "$KUBERNETES_EXEC_INFO" > "$NOTES/exec-info"',
        'printf "%s\\n" "$@" > "$NOTES/arguments"',
        'printf "%s\\n" "$GIVEN" "$HOME" > "$NOTES/environment"',
        `printf '%s' '${base64(printed)}' | base64 -d`,
        `exit ${answer.code ?? 0}`,
        '',
      ].join('\n')
      const kubeconfig = config(main(servers, cluster), {
        exec: {apiVersion: V1, command: './give.sh', interactiveMode: 'Never', ...exec},
        ...user,
      })
      return {files: {config: kubeconfig, 'give.sh': program, 'bin/give.sh': program}, environment: {NOTES: 'FOLDER', ...environment}}
    },
  }
}
