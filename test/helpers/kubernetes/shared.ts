/** The shared cluster of a lane's run, started by the first test that uses it and stopped after the last; and separate clusters. */
import {type Cluster, type ClusterOptions, startCluster} from './cluster.js'
import {type Kubernetes, openKubernetes} from './kubernetes.js'

/** The cluster that all test files of this process share: each uses its own namespaces. */
export async function sharedKubernetes(): Promise<Kubernetes> {
  shared ??= startCluster()
  return openKubernetes(await shared)
}

/** A cluster for one test, which may stop, kill and start it through `cluster`, and must end it. */
export async function ownKubernetes(options?: ClusterOptions): Promise<Kubernetes> {
  return openKubernetes(await startCluster(options))
}

let shared: Promise<Cluster> | undefined

// Outside of every describe: a hook of the whole run.
after('the shared cluster ends', async () => {
  const cluster = await shared?.catch(() => undefined)
  await cluster?.end()
})
