/** The service account of the pod that this runs in, as a kubeconfig. */
import {existsSync, readFileSync, statSync} from 'node:fs'
import path from 'node:path'
import {decodeKubeconfig} from './format.js'
import {readCaBundle} from './material.js'
import {type KubeconfigTarget, selectTarget} from './select.js'

/** Where the kubelet puts the files of a pod's service account. */
const DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Undefined where this is no pod, or one without a service account's token. */
export function podTarget(environment: NodeJS.ProcessEnv): KubeconfigTarget | undefined {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? ''
  const tokenFile = path.join(DIRECTORY, 'token')
  if (host === '' || port === '' || !existsSync(tokenFile) || statSync(tokenFile).isDirectory()) return undefined
  const caFile = path.join(DIRECTORY, 'ca.crt')
  const kubeconfig = {
    'current-context': 'pod',
    contexts: [{name: 'pod', context: {cluster: 'pod', user: 'pod'}}],
    clusters: [
      {
        name: 'pod',
        cluster: {
          server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
          // Where it is no certificate, the system's authorities count, as in client-go.
          'certificate-authority': isCertificate(caFile) ? caFile : '',
        },
      },
    ],
    users: [{name: 'pod', user: {tokenFile}}],
  }
  const target = selectTarget(decodeKubeconfig(JSON.stringify(kubeconfig), DIRECTORY), undefined)
  return typeof target === 'string' ? undefined : {...target, as: "the pod's service account"}
}

/** The pod's namespace: POD_NAMESPACE, else what the kubelet has written. */
export function podNamespace(environment: NodeJS.ProcessEnv): string | undefined {
  const named = environment['POD_NAMESPACE'] ?? ''
  if (named !== '') return named
  try {
    return readFileSync(path.join(DIRECTORY, 'namespace'), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

function isCertificate(file: string): boolean {
  try {
    return readCaBundle(readFileSync(file, 'utf8')).length > 0
  } catch {
    return false
  }
}
