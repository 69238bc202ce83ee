/** Rendered objects on a real API server. */
import type {Kubernetes} from '../../helpers/kubernetes/kubernetes.js'
import type {KubernetesObject} from './rendered.js'

/** Server-side apply, as Helm 4 does it. @throws Error with the API server's message */
export async function applyAll(kubernetes: Kubernetes, objects: readonly KubernetesObject[]): Promise<void> {
  const input = JSON.stringify({apiVersion: 'v1', kind: 'List', items: objects})
  const {code, stderr} = await kubernetes.kubectl(['apply', '--server-side', '-f', '-'], {input})
  // A warning is a defect, too: a deprecated field, or a pod that will be refused.
  if (code !== 0 || /warning/i.test(stderr)) throw new Error(stderr)
}

/** Frees values that are unique in a cluster: node ports and addresses of Services. */
export async function removeServices(kubernetes: Kubernetes, namespace: string): Promise<void> {
  await kubernetes.kubectl(['delete', 'services', '--all', '--namespace', namespace])
}
