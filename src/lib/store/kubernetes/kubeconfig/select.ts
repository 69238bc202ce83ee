/** Selects the cluster and the user of a context, and refuses what client-go refuses. material.ts reads the files that they name. */
import {quote} from '../../../model/errors.js'
import {parseProxyUrl} from './proxy.js'
import type {KubeconfigCluster, ExecEntry, Kubeconfig, UserEntry} from './format.js'
import {unusable} from './unusable.js'

/** Where requests go, and as which user. */
export interface KubeconfigTarget {
  readonly server: URL
  /** Who sends them, for messages: `context obs`, or `the pod's service account`. */
  readonly as: string
  readonly cluster: KubeconfigCluster
  /** Undefined where none is needed: over plain HTTP no credentials are sent. */
  readonly user: UserEntry | undefined
}

/**
 * @param context instead of the current one
 * @returns why there is none where no context is selected; a pod has its service account then
 * @throws AtlasError `unreachable` where the selected context can't be used
 */
export function selectTarget(kubeconfig: Kubeconfig, context: string | undefined): KubeconfigTarget | string {
  const name = context ?? kubeconfig.currentContext
  const found = kubeconfig.contexts.get(name)
  if (found === undefined) {
    if (name === '') return `the kubeconfig has no current context; there are: ${namesOf(kubeconfig.contexts)}`
    throw unusable(`there is no context ${quote(name)}; there are: ${namesOf(kubeconfig.contexts)}`, {hint: CHOOSE})
  }

  const as = `context ${quote(name)}`
  const cluster = kubeconfig.clusters.get(found.cluster)
  if (cluster === undefined) throw unusable(`${as} names the cluster ${quote(found.cluster)}, which is not in the kubeconfig`)
  checkCluster(cluster, found.cluster)
  const server = parseServer(cluster.server)
  const user = kubeconfig.users.get(found.user)
  if (user !== undefined) checkUser(user, found.user)
  else if (server.protocol === 'https:')
    throw unusable(found.user === '' ? `${as} names no user` : `${as} names the user ${quote(found.user)}, which is not in the kubeconfig`)
  return {server, as, cluster, user}
}

/** As in client-go: an address without a scheme means plain HTTP; query and fragment are dropped. */
export function parseServer(server: string): URL {
  const hasScheme = /^[a-z][\w+.-]*:\/\/[^/]/i.test(server)
  const url = URL.parse(hasScheme ? server : `http://${server}`)
  if (url === null || (!hasScheme && url.pathname !== '/'))
    throw unusable(`the address of the API server is not a URL: ${quote(server)}`, {hint: 'it looks like https://HOST:PORT'})
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw unusable(`the address of the API server begins with ${quote(url.protocol)}, not with https://`)
  url.search = ''
  url.hash = ''
  return url
}

function checkCluster({server, ca, caFile, proxyUrl, isUnverified}: KubeconfigCluster, name: string): void {
  const cluster = `cluster ${quote(name)} of the kubeconfig`
  if (server === '') throw unusable(`${cluster} has no server`)
  if (proxyUrl !== '') parseProxyUrl(proxyUrl, `proxy-url of ${cluster}`)
  only(cluster, {'certificate-authority': caFile !== '', 'certificate-authority-data': ca !== ''})
  if (isUnverified && ca + caFile !== '' && parseServer(server).protocol === 'https:')
    throw unusable(`${cluster} has a certificate authority, and insecure-skip-tls-verify: true`, {hint: 'remove one of the two'})
}

function checkUser(user: UserEntry, name: string): void {
  const of = `user ${quote(name)} of the kubeconfig`
  const {certificate, certificateFile, keyFile, token, tokenFile, username, password, impersonated, exec, authProvider} = user
  const key = user.key.reveal()
  if (certificate + certificateFile !== '') {
    only(of, {'client-certificate': certificateFile !== '', 'client-certificate-data': certificate !== ''})
    only(of, {'client-key': keyFile !== '', 'client-key-data': key !== ''})
    if (key + keyFile === '') throw unusable(`${of} has a client certificate without a client-key`)
  }

  only(of, {token: token.reveal() !== '', 'username or password': username + password.reveal() !== ''})
  only(of, {tokenFile: tokenFile !== '', username: username !== ''})
  only(of, {exec: exec !== undefined, 'auth-provider': authProvider !== undefined})
  if (impersonated.user === '' && (impersonated.uid !== '' || impersonated.groups.length > 0 || impersonated.extra.size > 0))
    throw unusable(`${of} has as-uid, as-groups or as-user-extra without as`)
  if (exec !== undefined) checkExec(exec, of)
}

function checkExec({command, apiVersion, env, interactiveMode}: ExecEntry, of: string): void {
  if (command === '') throw unusable(`exec of ${of} has no command`)
  if (!EXEC_VERSIONS.includes(apiVersion))
    throw unusable(`exec of ${of} has apiVersion ${quote(apiVersion)}; known are ${EXEC_VERSIONS.join(' and ')}`, {
      hint: 'update the program that gives credentials, and have it write the kubeconfig again',
    })
  if (env.some(({name}) => name === '')) throw unusable(`exec of ${of} has an environment variable without a name`)
  if (!INTERACTIVE_MODES.includes(interactiveMode))
    throw unusable(`exec of ${of} has interactiveMode ${quote(interactiveMode)}; one of ${INTERACTIVE_MODES.join(', ')} is required`)
}

const EXEC_VERSIONS: readonly string[] = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']
const INTERACTIVE_MODES: readonly string[] = ['Never', 'IfAvailable', 'Always']

/** @throws AtlasError `unreachable` where both are given */
function only(of: string, given: Readonly<Record<string, boolean>>): void {
  if (Object.values(given).every(Boolean))
    throw unusable(`${of} has both ${Object.keys(given).join(' and ')}`, {hint: 'remove one of the two'})
}

/** What to do about a context that is not there. */
export const CHOOSE = 'choose one with --context, or for good with "kubectl config use-context"'

function namesOf(entries: ReadonlyMap<string, unknown>): string {
  return entries.size === 0 ? 'none' : [...entries.keys()].slice(0, 20).join(', ')
}
