/** Kubeconfig files: one cluster, one user, one context. */
import {readFile, writeFile} from 'node:fs/promises'
import {dump, load} from 'js-yaml'
import type {Certified} from './certificates.js'

export interface Access {
  /** https://HOST:PORT */
  readonly server: string
  /** PEM. */
  readonly ca: string
  /** The name of user and context. */
  readonly name: string
  /** The context's namespace. */
  readonly namespace?: string | undefined
  readonly credential: Certified | {readonly token: string}
}

/** Writes it with mode 0600; returns its path. */
export async function writeKubeconfig(file: string, {server, ca, name, namespace, credential}: Access): Promise<string> {
  const user =
    'token' in credential
      ? {token: credential.token}
      : {'client-certificate-data': base64(credential.certificate), 'client-key-data': base64(credential.key)}
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'test', cluster: {server, 'certificate-authority-data': base64(ca)}}],
    users: [{name, user}],
    contexts: [{name, context: {cluster: 'test', user: name, ...(namespace === undefined ? {} : {namespace})}}],
    'current-context': name,
  }
  await writeFile(file, dump(config), {mode: 0o600})
  return file
}

/** Reads a file of `writeKubeconfig`. */
export async function readKubeconfig(file: string): Promise<Access> {
  const config = load(await readFile(file, 'utf8')) as {
    clusters: [{cluster: {server: string; 'certificate-authority-data': string}}]
    users: [{name: string; user: {token?: string; 'client-certificate-data': string; 'client-key-data': string}}]
    contexts: [{context: {namespace?: string}}]
  }
  const [{cluster}] = config.clusters
  const [{name, user}] = config.users
  const credential =
    user.token === undefined
      ? {certificate: text(user['client-certificate-data']), key: text(user['client-key-data'])}
      : {token: user.token}
  return {
    server: cluster.server,
    ca: text(cluster['certificate-authority-data']),
    name,
    namespace: config.contexts[0].context.namespace,
    credential,
  }
}

function base64(of: string): string {
  return Buffer.from(of).toString('base64')
}

function text(of: string): string {
  return Buffer.from(of, 'base64').toString()
}
