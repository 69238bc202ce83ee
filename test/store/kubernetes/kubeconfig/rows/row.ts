/** One row of the table that kubectl and Atlas are compared on: files, environment and flags, and whether a request reaches a server. */
import {type Servers, UNKNOWN_HOST} from '../servers.js'

export interface Row {
  readonly title: string
  /** So that a row in which both fail for another reason than the title's is noticed where it should have reached a server. */
  readonly outcome: 'fails' | 'reaches'
  readonly given: (servers: Servers) => Given
}

export interface Given {
  /** By path below the row's folder: text, or what is written as YAML. Names in `.sh` are programs. */
  readonly files?: Readonly<Record<string, unknown>>
  /** By path below the row's folder, what they point to. */
  readonly links?: Readonly<Record<string, string>>
  /** Added to HOME, PATH, and KUBECONFIG=config where nothing else is given. `FOLDER` is filled in. */
  readonly environment?: Readonly<Record<string, string>>
  /** Below the row's folder, where the command is run. */
  readonly directory?: string
  readonly kubeconfig?: string
  readonly context?: string
  /** The path of the server's address: /version is asked for below it, for `kubectl get --raw` does not go below it. */
  readonly below?: string
  /** Atlas is run as a program, and its first request compared but for the path. */
  readonly isProgram?: boolean
}

export const SECRET = 'not-to-be-shown'

/** A kubeconfig with one context. */
export function config(cluster: object, user: object = {token: SECRET}): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'c', cluster}],
    users: [{name: 'u', user}],
    contexts: [{name: 'x', context: {cluster: 'c', user: 'u'}}],
    'current-context': 'x',
  }
}

/** Server `main` with its authority. */
export function main({ports, ca}: Servers, changes: object = {}): object {
  return {server: `https://127.0.0.1:${ports.main}`, 'certificate-authority-data': base64(ca.certificate), ...changes}
}

/** The same under a name that only a proxy connects to. */
export function remote(servers: Servers, changes: object = {}): object {
  return main(servers, {server: `https://${UNKNOWN_HOST}:${servers.ports.main}`, ...changes})
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/** A row whose only file is `config`. */
export function row(outcome: Row['outcome'], title: string, file: (servers: Servers) => unknown, others: Omit<Given, 'files'> = {}): Row {
  return {title, outcome, given: servers => ({files: {config: file(servers)}, ...others})}
}
