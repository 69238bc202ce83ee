/** The one cluster of a lane's run, started by the first test that wants it and ended after the last; and clusters of a test's own. */
import {type Cluster, type ClusterOptions, startCluster} from './cluster.js'
import {type Kubernetes, openKubernetes} from './kubernetes.js'

/** The cluster that all test files of this process share: each keeps to a namespace of its own. */
export async function sharedKubernetes(): Promise<Kubernetes> {
  shared ??= startCluster()
  return openKubernetes(await shared)
}

/** A cluster for this test alone, to be stopped, killed and started again by its `cluster`, and to be ended by the test. */
export async function ownKubernetes(options?: ClusterOptions): Promise<Kubernetes> {
  return openKubernetes(await startCluster(options))
}

let shared: Promise<Cluster> | undefined

// This is read while mocha collects its tests, outside of every describe: a hook of the whole run.
after('the shared cluster ends', async () => {
  const cluster = await shared?.catch(() => undefined)
  await cluster?.end()
})
