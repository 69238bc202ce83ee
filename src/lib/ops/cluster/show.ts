/** One cluster with what its certificates say. */
import {type Fleet, recordOf} from '../../model/fleet.js'
import {sidecarName, sni, spiffe} from '../../model/names.js'
import {replicasOf} from '../../model/cluster.js'
import {readKey} from '../../pki/read.js'
import type {StateStore} from '../../store/store.js'
import {settingsOf} from '../world.js'
import {type ClusterEntry, clusterEntry} from './list.js'
import {requireCluster} from './remove.js'

export interface CertificateSummary {
  readonly name: string
  readonly serial: string
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface ClusterView {
  readonly entry: ClusterEntry
  readonly sni: string
  /** Host names of the replicas, as Thanos Query dials them. */
  readonly sidecars: readonly string[]
  readonly identity: CertificateSummary | undefined
  readonly credential: CertificateSummary | undefined
}

/** @throws AtlasError `not-found` */
export async function showCluster(store: StateStore, text: string): Promise<ClusterView> {
  const fleet = await store.load()
  const settings = settingsOf(fleet)
  const name = requireCluster(fleet, text)
  const entry = clusterEntry(fleet, name)
  const {generation} = recordOf(fleet, name)
  return {
    entry,
    sni: sni.downstream(settings.trustDomain, name),
    sidecars: entry.cluster === undefined ? [] : replicasOf(entry.cluster).map(replica => sidecarName(name, replica)),
    identity: summary(fleet.identities.get(name), spiffe.downstream(settings.trustDomain, name, generation)),
    credential: summary(fleet.credentials.get(name), spiffe.adsClient(settings.trustDomain, name, generation)),
  }
}

function summary(key: Fleet['server'], name: string): CertificateSummary | undefined {
  if (key === undefined) return undefined
  const {serial, notBefore, notAfter} = readKey(key)
  return {name, serial, notBefore, notAfter}
}
