/** A namespace in which goatlas has run, on a real API server: its objects, with their owners. */
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {type Manifest, keyOf} from '../../../src/lib/manifest/manifest.js'
import {renderYaml} from '../../../src/lib/manifest/yaml.js'
import type {GoatlasAuthority} from '../goatlas.js'
import {type GoatlasFile, goatlasChartZone, goatlasObjects} from '../goatlas-objects.js'
import type {Kubernetes} from './kubernetes.js'

/** Creates them in `namespace`, as goatlas's users, chart and controller did. @throws Error when the API server refuses one */
export async function createGoatlas(
  kubernetes: Kubernetes,
  namespace: string,
  authority: GoatlasAuthority,
  files?: readonly GoatlasFile[],
): Promise<void> {
  const uids = new Map<string, string>()
  for (const manifest of goatlasObjects(authority, files)) {
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

/** The same, where Helm has installed the chart's objects as release `atlas` (test/fixtures/goatlas/chart). */
export async function installGoatlas(kubernetes: Kubernetes, namespace: string, authority: GoatlasAuthority): Promise<void> {
  const zoneOf = goatlasObjects(authority, ['coredns']).find(manifest => keyOf(manifest) === 'ConfigMap/atlas-atlas-coredns')
  if (zoneOf === undefined) throw new Error('the fixtures have no zone')
  const values = path.join(kubernetes.cluster.folder, 'goatlas-values.yaml')
  await writeFile(values, renderYaml({corefile: zoneOf.data?.['Corefile'], zone: goatlasChartZone}))
  const chart = fileURLToPath(new URL('../../fixtures/goatlas/chart', import.meta.url))
  const {code, stderr} = await kubernetes.helm(['install', 'atlas', chart, '--namespace', namespace, '--values', values])
  if (code !== 0) throw new Error(stderr)
  await createGoatlas(kubernetes, namespace, authority, ['registrations', 'derived', 'secrets'])
  // The controller has changed the chart's objects.
  const {metadata, data} = inNamespace(zoneOf, namespace)
  const owned = ([key]: [string, string]): boolean => key.startsWith('objectset.rio.cattle.io/')
  const marks = (map: Readonly<Record<string, string>> = {}): object => Object.fromEntries(Object.entries(map).filter(owned))
  const {status} = await kubernetes.request(
    'PATCH',
    `/api/v1/namespaces/${namespace}/configmaps/${metadata.name}`,
    {metadata: {labels: marks(metadata.labels), annotations: marks(metadata.annotations)}, data: {'atlas.zone': data?.['atlas.zone']}},
    {contentType: 'application/merge-patch+json'},
  )
  if (status !== 200) throw new Error(`the API server answered ${status}`)
}

/** Replaces the namespace `monitoring`, except in addresses inside downstream clusters. */
function inNamespace(manifest: Manifest, namespace: string): Manifest {
  const text = JSON.stringify(manifest)
    .replaceAll('"namespace":"monitoring"', `"namespace":"${namespace}"`)
    .replaceAll('"objectset.rio.cattle.io/owner-namespace":"monitoring"', `"objectset.rio.cattle.io/owner-namespace":"${namespace}"`)
    .replaceAll('.monitoring.svc.cluster.local.', `.${namespace}.svc.cluster.local.`)
  return JSON.parse(text) as Manifest
}
