/** Two real API servers under the two contexts of one kubeconfig, as the pages of the documentation have them. */
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {dump} from 'js-yaml'
import {readKubeconfig} from './kubernetes/kubeconfig.js'
import type {Kubernetes} from './kubernetes/kubernetes.js'
import {ownKubernetes} from './kubernetes/shared.js'

export interface TwoClusters {
  readonly observability: Kubernetes
  readonly paris: Kubernetes
  /** Of both; the current context is `observability`. */
  readonly kubeconfig: string
  end(): Promise<void>
}

/** Starts both, each with its controllers; about 20 s. */
export async function startTwoClusters(folder: string): Promise<TwoClusters> {
  const observability = await ownKubernetes()
  const paris = await ownKubernetes()
  await Promise.all([observability.startControllers(), paris.startControllers()])
  const kubeconfig = path.join(folder, 'kubeconfig')
  const named = {observability, paris}
  const contexts = await Promise.all(
    Object.entries(named).map(async ([name, {kubeconfig: of}]) => {
      const {server, ca, credential} = await readKubeconfig(of)
      if (!('token' in credential)) throw new Error('the administrator has a token')
      return {
        cluster: {name, cluster: {server, 'certificate-authority-data': Buffer.from(ca).toString('base64')}},
        user: {name, user: {token: credential.token}},
        context: {name, context: {cluster: name, user: name}},
      }
    }),
  )
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: contexts.map(({cluster}) => cluster),
    users: contexts.map(({user}) => user),
    contexts: contexts.map(({context}) => context),
    'current-context': 'observability',
  }
  await writeFile(kubeconfig, dump(config), {mode: 0o600})
  return {
    ...named,
    kubeconfig,
    async end() {
      await Promise.all([observability.cluster.end(), paris.cluster.end()])
    },
  }
}
