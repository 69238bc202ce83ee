/** Rendered objects on a real API server. */
import type {Kubernetes} from '../../helpers/kubernetes/kubernetes.js'
import type {KubernetesObject} from './rendered.js'

/** Server-side apply, as Helm 4 does it. @throws Error with what the API server says */
export async function applyAll(kubernetes: Kubernetes, objects: readonly KubernetesObject[]): Promise<void> {
  const input = JSON.stringify({apiVersion: 'v1', kind: 'List', items: objects})
  const {code, stderr} = await kubernetes.kubectl(['apply', '--server-side', '-f', '-'], {input})
  // a warning is a defect, too: of a field that is going away, or of a pod that will be refused
  if (code !== 0 || /warning/i.test(stderr)) throw new Error(stderr)
}

/** Frees what is unique in a cluster: node ports and addresses of Services. */
export async function removeServices(kubernetes: Kubernetes, namespace: string): Promise<void> {
  await kubernetes.kubectl(['delete', 'services', '--all', '--namespace', namespace])
}
