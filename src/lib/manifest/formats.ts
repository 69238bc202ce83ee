/**
 * What `cluster values` prints for a cluster's Envoy, as Kubernetes objects: the Secrets that it needs, and the object by which k3s, Flux or
 * Argo CD releases the chart. It holds the values as they are: no key is in them. values.ts makes them.
 */
import type {Credential} from '../model/authority.js'
import {invalid} from '../model/errors.js'
import {type Owner, objectNames} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {encodeOnto} from './encode.js'
import {type Manifest, frameOf} from './manifest.js'
import {type Release, splitChart, tagOf} from './release.js'
import {renderValues, valuesOf} from './values.js'
import {renderDocuments} from './yaml.js'

/** The cluster that Argo CD deploys to, as it knows it: by name, or by the URL of its API server. */
export type ArgoDestination = {readonly name: string} | {readonly server: string}

export interface ArgoOptions {
  readonly destination: ArgoDestination
  /** Where Argo CD looks for Applications. */
  readonly namespace: string
  readonly project: string
}

/** What releases the chart, and as which kind of object it is asked to. */
export type ReleaseFormat =
  | {readonly format: 'argo-application'; readonly release: Release; readonly argo: ArgoOptions}
  | {readonly format: 'helm-chart'; readonly release: Release}
  | {readonly format: 'helm-release'; readonly release: Release; readonly interval: string} // as Go writes durations

/** Where k3s looks for HelmCharts; no other namespace is watched. */
const K3S_NAMESPACE = 'kube-system'

/** The Secret with `owner`'s key, as its own cluster needs it: in the namespace of the release there, not in Atlas's. */
export function renderCredential(owner: Owner, credential: Credential, namespace: string): string {
  return renderDocuments([encodeCredential(owner, credential, namespace)])
}

/**
 * All that `owner`'s cluster needs beside the chart: the Secret with the key, and apart from it the Secret with the values, from which
 * Flux (`valuesFrom`) and k3s (`valuesSecrets`) read. The values are in `stringData`, so that encrypting `data` alone leaves them readable.
 */
export function renderSecrets(settings: Settings, owner: Owner, credential: Credential, namespace: string): string {
  const values = frameOf(undefined, ['Secret', objectNames.values(owner)], namespace)
  return renderDocuments([
    encodeCredential(owner, credential, namespace),
    {...values, type: 'Opaque', stringData: {'values.yaml': renderValues(settings, owner)}},
  ])
}

/** The objects that make a tool release the chart for `owner`. */
export function renderRelease(settings: Settings, owner: Owner, wanted: ReleaseFormat): string {
  switch (wanted.format) {
    case 'argo-application': {
      return renderDocuments([argoApplication(settings, owner, wanted)])
    }

    case 'helm-chart': {
      return renderDocuments([helmChart(settings, owner, wanted.release)])
    }

    case 'helm-release': {
      return renderDocuments(fluxObjects(settings, owner, wanted))
    }
  }
}

/** How often Flux looks again, as Go reads it: it knows no days. @throws AtlasError `invalid` */
export function parseInterval(text: string, what = 'an interval'): string {
  if (!/^[1-9][0-9]{0,4}[smh]$/.test(text)) throw invalid(what, 'a whole number of hours, minutes or seconds, such as 1h, 10m or 90s', text)
  return text
}

/** A cluster's name in Argo CD (also an ARN, in EKS), or the URL of an API server. @throws AtlasError `invalid` */
export function parseArgoDestination(text: string, what = 'a destination'): ArgoDestination {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return {server: text}
  if (!/^[A-Za-z0-9][-A-Za-z0-9._:/@]{0,252}$/.test(text) || text.includes('//'))
    throw invalid(what, "a cluster's name in Argo CD, or the URL of its API server, such as https://kubernetes.default.svc", text)
  return {name: text}
}

function encodeCredential(owner: Owner, value: Credential, namespace: string): Manifest {
  const manifest = encodeOnto(undefined, {kind: 'credential', owner, value}, namespace)
  if (manifest === undefined) throw new Error('a credential is encoded into a Secret')
  return manifest
}

/** k3s; the release is called as the object is. `valuesContent` is read by every version, `values` by the newest only. */
function helmChart(settings: Settings, owner: Owner, {chart, version, name, namespace}: Release): Manifest {
  return {
    apiVersion: 'helm.cattle.io/v1',
    kind: 'HelmChart',
    metadata: {name, namespace: K3S_NAMESPACE},
    spec: {chart, version, targetNamespace: namespace, createNamespace: true, valuesContent: renderValues(settings, owner)},
  }
}

/** Flux. Both objects are in the release's namespace, with the Secret: no reference crosses a namespace. */
function fluxObjects(
  settings: Settings,
  owner: Owner,
  {release, interval}: Extract<ReleaseFormat, {format: 'helm-release'}>,
): readonly Manifest[] {
  const {name, namespace} = release
  return [
    {
      apiVersion: 'source.toolkit.fluxcd.io/v1',
      kind: 'OCIRepository',
      metadata: {name, namespace},
      spec: {
        interval,
        url: release.chart,
        ref: {tag: tagOf(release.version)},
        layerSelector: {mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', operation: 'copy'},
      },
    },
    {
      apiVersion: 'helm.toolkit.fluxcd.io/v2',
      kind: 'HelmRelease',
      metadata: {name, namespace},
      spec: {
        interval,
        chartRef: {kind: 'OCIRepository', name},
        releaseName: name,
        // a Secret that comes later than the release, or a registry that is away, is no reason to give up
        install: {remediation: {retries: -1}},
        upgrade: {remediation: {retries: 3}},
        values: valuesOf(settings, owner),
      },
    },
  ]
}

/** Argo CD. The object is called by the cluster: one Argo CD may deploy to all of them. */
function argoApplication(
  settings: Settings,
  owner: Owner,
  {release, argo}: Extract<ReleaseFormat, {format: 'argo-application'}>,
): Manifest {
  const {repository, name} = splitChart(release.chart)
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: {name: `${owner}-envoy`, namespace: argo.namespace},
    spec: {
      project: argo.project,
      source: {
        repoURL: repository,
        chart: name,
        targetRevision: release.version,
        helm: {releaseName: release.name, valuesObject: valuesOf(settings, owner)},
      },
      destination: {...argo.destination, namespace: release.namespace},
      syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: ['CreateNamespace=true']},
    },
  }
}
