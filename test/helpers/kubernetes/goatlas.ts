/** A namespace in which the 2021 program has run, on a real API server: its objects, with the owners that it gave them. */
import type {Manifest} from '../../../src/lib/manifest/manifest.js'
import type {GoatlasAuthority} from '../goatlas.js'
import {goatlasObjects} from '../goatlas-objects.js'
import type {Kubernetes} from './kubernetes.js'

/** Creates them in `namespace`, as that program's users, chart and controller did. @throws Error for what the API server refuses */
export async function createGoatlas(kubernetes: Kubernetes, namespace: string, authority: GoatlasAuthority): Promise<void> {
  const uids = new Map<string, string>()
  for (const manifest of goatlasObjects(authority)) {
    const {kind, metadata} = manifest
    const owner = metadata.annotations?.['objectset.rio.cattle.io/owner-name'] ?? ''
    const uid = metadata.annotations?.['objectset.rio.cattle.io/owner-gvk'] === '/v1, Kind=Service' ? uids.get(owner) : undefined
    const reference = {apiVersion: 'v1', kind: 'Service', name: owner, uid, controller: false, blockOwnerDeletion: false}
    const object = {
      ...inNamespace(manifest, namespace),
      metadata: {...inNamespace(manifest, namespace).metadata, ...(uid !== undefined && {ownerReferences: [reference]})},
    }
    const place = `/api/v1/namespaces/${namespace}/${kind.toLowerCase()}s`
    const {status, body} = await kubernetes.request<{metadata: {uid: string}}>('POST', place, object)
    if (status !== 201) throw new Error(`${kind} ${metadata.name}: ${JSON.stringify(body)}`)
    uids.set(metadata.name, body.metadata.uid)
  }
}

/** Wherever it says `monitoring`. Addresses inside downstream clusters are not ours to move. */
function inNamespace(manifest: Manifest, namespace: string): Manifest {
  const text = JSON.stringify(manifest)
    .replaceAll('"namespace":"monitoring"', `"namespace":"${namespace}"`)
    .replaceAll('"objectset.rio.cattle.io/owner-namespace":"monitoring"', `"objectset.rio.cattle.io/owner-namespace":"${namespace}"`)
    .replaceAll('.monitoring.svc.cluster.local.', `.${namespace}.svc.cluster.local.`)
  return JSON.parse(text) as Manifest
}
