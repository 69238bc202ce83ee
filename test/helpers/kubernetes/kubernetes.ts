/** A cluster for tests: namespaces, kubectl, Helm, raw requests, users with and without rights. */
import {randomBytes} from 'node:crypto'
import path from 'node:path'
import {waitFor} from '../../../src/demo/lab/wait.js'
import {certify} from './certificates.js'
import type {Cluster} from './cluster.js'
import {readKubeconfig, writeKubeconfig} from './kubeconfig.js'
import {run} from './programs.js'
import type {Ran} from '../ran.js'
import {type Answer, ask} from './request.js'

export interface Kubernetes {
  /** https://ADDRESS:PORT */
  readonly url: string
  /** The path of the certificate that signs the API server's. */
  readonly caFile: string
  /** The path of an administrator's kubeconfig (0600). */
  readonly kubeconfig: string
  /** Its address, authority and processes. */
  readonly cluster: Cluster
  /** Makes an empty namespace. @returns its name */
  newNamespace(prefix?: string, labels?: Readonly<Record<string, string>>): Promise<string>
  /** Does not reject when kubectl fails. */
  kubectl(args: readonly string[], options?: RunOptions): Promise<Ran>
  helm(args: readonly string[], options?: RunOptions & {readonly major?: 3 | 4}): Promise<Ran>
  request<Body = Record<string, unknown>>(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<Answer<Body>>
  /** A user with a client certificate and without rights. @returns the path of a kubeconfig (0600) */
  userKubeconfig(name: string, options: {readonly namespace: string; readonly groups?: readonly string[]}): Promise<string>
  /** Creates a ServiceAccount if it does not exist, and a token for an hour. @returns the path of a kubeconfig (0600) */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>
  /** Waits until the API server's authorizer, which hears of Roles by a watch of its own, lets the user of `kubeconfig` do this. */
  untilAllowed(kubeconfig: string, verb: string, resource: string): Promise<void>
  /** From now on owned objects are deleted with their owners, and deleted namespaces end. */
  startControllers(): Promise<void>
}

interface RequestOptions {
  readonly contentType?: string
  /** The user of the request, instead of the administrator. */
  readonly kubeconfig?: string
}

export interface RunOptions {
  /** Standard input. */
  readonly input?: string
  /** Instead of the administrator's. */
  readonly kubeconfig?: string
}

export function openKubernetes(cluster: Cluster): Kubernetes {
  const {url, caFile, ca, kubeconfig, folder} = cluster
  const fileOf = (user: string): string => path.join(folder, 'users', `${user}-${randomBytes(4).toString('hex')}.kubeconfig`)
  const environment = (of = kubeconfig): NodeJS.ProcessEnv => ({PATH: process.env['PATH'], HOME: folder, KUBECONFIG: of})

  const request: Kubernetes['request'] = async <Body>(method: string, at: string, body?: unknown, options: RequestOptions = {}) =>
    ask<Body>(await readKubeconfig(options.kubeconfig ?? kubeconfig), {method, path: at, body, contentType: options.contentType})

  return {
    url,
    caFile,
    kubeconfig,
    cluster,
    request,
    async newNamespace(prefix = 'test', labels = {}) {
      const name = `${prefix}-${randomBytes(4).toString('hex')}`
      expectCreated(await request('POST', '/api/v1/namespaces', {metadata: {name, labels}}))
      return name
    },
    kubectl: async (args, {input, kubeconfig: of} = {}) => run('kubectl', args, {env: environment(of), input}),
    helm: async (args, {input, kubeconfig: of, major = 4} = {}) => run(major === 4 ? 'helm' : 'helm3', args, {env: environment(of), input}),
    async userKubeconfig(name, {namespace, groups = []}) {
      const credential = await certify({name, groups}, ca)
      return writeKubeconfig(fileOf(name), {server: url, ca: ca.certificate, name, namespace, credential})
    },
    async serviceAccountKubeconfig(namespace, name) {
      const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`
      const made = await request('POST', accounts, {metadata: {name}})
      if (made.status !== 409) expectCreated(made)
      const asked = {apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {expirationSeconds: 3600}}
      const answer = await request<{status: {token: string}}>('POST', `${accounts}/${name}/token`, asked)
      const {token} = expectCreated(answer).status
      return writeKubeconfig(fileOf(name), {server: url, ca: ca.certificate, name, namespace, credential: {token}})
    },
    async untilAllowed(of, verb, resource) {
      const {namespace = 'default'} = await readKubeconfig(of)
      const probe = async (): Promise<true | undefined> => {
        const {stdout} = await run('kubectl', ['auth', 'can-i', verb, resource, '--namespace', namespace], {env: environment(of)})
        return stdout.trim() === 'yes' ? true : undefined
      }
      await waitFor(`the right to ${verb} ${resource}`, probe, {signal: new AbortController().signal, timeoutMs: 60_000})
    },
    startControllers: async () => cluster.controllers.start(),
  }
}

function expectCreated<Body>({status, body}: Answer<Body>): Body {
  if (status !== 201) throw new Error(`the API server answered ${status}: ${JSON.stringify(body)}`)
  return body
}
