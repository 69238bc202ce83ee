/** Two real API servers under the two contexts of one kubeconfig, as on the pages of the documentation. */
import {writeContexts} from './kubernetes/contexts.js'
import type {Kubernetes} from './kubernetes/kubernetes.js'
import {ownKubernetes} from './kubernetes/shared.js'

export interface TwoClusters {
  readonly observability: Kubernetes
  readonly paris: Kubernetes
  /** The kubeconfig of both; the current context is `observability`. */
  readonly kubeconfig: string
  end(): Promise<void>
}

/** Starts both, each with its controllers; about 10 s. */
export async function startTwoClusters(folder: string): Promise<TwoClusters> {
  const [observability, paris] = await Promise.all([ownKubernetes(), ownKubernetes()])
  await Promise.all([observability.startControllers(), paris.startControllers()])
  const named = {observability, paris}
  return {
    ...named,
    kubeconfig: await writeContexts(folder, named),
    async end() {
      await Promise.all([observability.cluster.end(), paris.cluster.end()])
    },
  }
}
