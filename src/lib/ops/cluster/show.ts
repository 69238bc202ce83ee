/** Shows one cluster with its certificates. */
import type {OwnerRecord} from '../../model/authority.js'
import {type Fault} from '../../model/errors.js'
import {type Fleet, faultOf, recordOf} from '../../model/fleet.js'
import {sni, spiffe} from '../../model/names.js'
import {thanosEndpointsOf} from '../../model/thanos-target.js'
import type {Settings} from '../../model/settings.js'
import {readKey} from '../../pki/read.js'
import type {StateStore} from '../../store/store.js'
import {loadInstallation} from '../installation.js'
import {type ClusterEntry, clusterEntry, requireCluster} from './list.js'

export interface CertificateSummary {
  readonly name: string
  readonly serial: string
  /** Undefined: the certificate is known only from the record. */
  readonly notBefore?: Date
  readonly notAfter: Date
  /** Of an ADS credential, which `cluster revoke --credential` names by it. */
  readonly sha256?: string
}

export interface ClusterView {
  readonly entry: ClusterEntry
  readonly settings: Settings
  readonly sni: string
  /** Host names of the replicas, to which Thanos Query connects. */
  readonly sidecars: readonly string[]
  /** `unread`: it is in a Secret, and this command does without the right to read Secrets. */
  readonly identity: CertificateSummary | 'unread' | undefined
  readonly credential: CertificateSummary | undefined
  /** Why a certificate that may be there is absent above: its object cannot be read. */
  readonly unreadable: Readonly<Partial<Record<'credential' | 'identity', Fault>>>
}

/** @throws AtlasError `not-found` */
export async function showCluster(store: StateStore, text: string): Promise<ClusterView> {
  const {fleet, settings} = await loadInstallation(store)
  const name = requireCluster(fleet, text)
  const entry = clusterEntry(fleet, name)
  const {generation} = recordOf(fleet, name)
  const [identityFault, credentialFault] = [faultOf(fleet, 'identity', name), faultOf(fleet, 'credential', name)]
  return {
    entry,
    settings,
    sni: sni.downstream(settings.trustDomain, name),
    sidecars: entry.cluster === undefined ? [] : thanosEndpointsOf(entry.cluster).map(endpoint => endpoint.name),
    identity:
      store.signedBy === 'leader'
        ? 'unread'
        : summary(fleet.identities.get(name), spiffe.downstream(settings.trustDomain, name, generation)),
    credential:
      store.signedBy === 'leader'
        ? recorded(recordOf(fleet, name), spiffe.adsClient(settings.trustDomain, name, generation))
        : credentialSummary(fleet.credentials.get(name), spiffe.adsClient(settings.trustDomain, name, generation)),
    // Where a leader signs, this command reads no Secret.
    unreadable:
      store.signedBy === 'leader'
        ? {}
        : {...(identityFault && {identity: identityFault}), ...(credentialFault && {credential: credentialFault})},
  }
}

/** The credential that was issued last, from the record. */
function recorded({credentials}: OwnerRecord, name: string): CertificateSummary | undefined {
  const last = credentials.filter(({state}) => state === 'valid').at(-1)
  return last === undefined ? undefined : {name, serial: last.serial, notAfter: new Date(last.notAfter), sha256: last.sha256}
}

function summary(key: Fleet['server'], name: string): CertificateSummary | undefined {
  if (key === undefined) return undefined
  const {serial, notBefore, notAfter} = readKey(key)
  return {name, serial, notBefore, notAfter}
}

function credentialSummary(key: Fleet['server'], name: string): CertificateSummary | undefined {
  const found = summary(key, name)
  return key === undefined || found === undefined ? undefined : {...found, sha256: readKey(key).sha256}
}
