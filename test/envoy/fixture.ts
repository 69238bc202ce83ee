/** Fleets and nodes for this room's tests, with readable placeholders instead of certificates, which nothing here parses. */
import {parseAddresses} from '../../src/lib/model/address.js'
import type {CertifiedKey, OwnerRecord} from '../../src/lib/model/authority.js'
import type {Cluster} from '../../src/lib/model/cluster.js'
import type {Change} from '../../src/lib/model/change.js'
import {emptyFleet, type Fault, type Fleet} from '../../src/lib/model/fleet.js'
import {type Owner, parseOwner} from '../../src/lib/model/names.js'
import {type Node, parseNode} from '../../src/lib/model/node.js'
import {SecretText} from '../../src/lib/model/secret.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {type Built, buildSnapshot} from '../../src/lib/envoy/build.js'
import {type Resource, resourcesOf, type Snapshot} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {resourceJson} from '../helpers/envoy-json.js'
import {testCluster} from '../helpers/fleet.js'

/** A fleet of these clusters, each with an identity, and of the parts given. */
export function fleetOf(clusters: readonly Cluster[], differing: Partial<Fleet> = {}): Fleet {
  const owners: readonly Owner[] = ['atlas', ...clusters.map(({name}) => name)]
  return {
    ...emptyFleet,
    settings: defaultSettings,
    trust: {roots: ['the root\n'], issuers: ['the issuer\n'], credentialIssuers: ['the credential issuer\n']},
    registrations: new Map(clusters.map(cluster => [cluster.name, cluster])),
    identities: new Map(owners.map(owner => [owner, identityOf(owner)])),
    ...differing,
  }
}

/** A cluster whose Envoy and services are all reached by one DNS name. */
export function clusterAt(name: string, host: string): Cluster {
  const target = {host, port: 10_901}
  return testCluster(name, {addresses: parseAddresses(host), services: {thanos: target, prometheus: target, alertmanager: target}})
}

export function identityOf(owner: string): CertifiedKey {
  return {certificate: `the leaf of ${owner}\nthe issuer\n`, key: new SecretText(`the private key of ${owner}\n`)}
}

export function recordsOf(
  ...records: readonly (Partial<Omit<OwnerRecord, 'owner'>> & {readonly owner: string})[]
): Map<Owner, OwnerRecord> {
  return new Map(
    records.map(record => {
      const owner = parseOwner(record.owner)
      return [owner, {generation: 1, credentials: [], denied: [], ...record, owner}]
    }),
  )
}

export function nodeOf(cluster: string, metadata: Record<string, unknown> = {}): Node {
  return parseNode({cluster, id: `${cluster}-0`, metadata})
}

export function snapshotOf(built: Built): Snapshot {
  if (built.kind === 'frozen') throw new Error(`frozen: ${built.why}`)
  return built.snapshot
}

/** One resource of a snapshot; throws where it is missing. */
export function find(snapshot: Snapshot, type: keyof typeof typeUrls, name: string): Resource {
  const resource = resourcesOf(snapshot, typeUrls[type]).get(name)
  if (resource === undefined) throw new Error(`there is no ${type} ${name}; there are ${names(snapshot, type).join(', ')}`)
  return resource
}

export function names(snapshot: Snapshot, type: keyof typeof typeUrls): readonly string[] {
  return [...resourcesOf(snapshot, typeUrls[type]).keys()]
}

/** Every resource that is not the same object as before, as `type name`, and every one that is gone. */
export function changed(before: Snapshot, after: Snapshot): readonly string[] {
  return Object.entries(typeUrls).flatMap(([kind, typeUrl]) => {
    const [was, is] = [resourcesOf(before, typeUrl), resourcesOf(after, typeUrl)]
    const all = [...new Set([...was.keys(), ...is.keys()])].sort()
    return all.filter(name => was.get(name) !== is.get(name)).map(name => `${kind} ${name}`)
  })
}

export function registered(cluster: Cluster): Change {
  return {kind: 'registration', name: cluster.name, value: cluster}
}

export function broken(subject: Parameters<Fleet['faults']['get']>[0], object: string, key: string): Change {
  const value: Fault = {object, key, message: 'wanted a certificate, got "hello"', source: 'secret.yaml'}
  return {kind: 'fault', subject, value}
}

export function build(of: Fleet, node: Node): Snapshot {
  return snapshotOf(buildSnapshot(of, node))
}

/** One resource of a snapshot as JSON text. */
export function textOf(snapshot: Snapshot, type: keyof typeof typeUrls, name: string): string {
  return JSON.stringify(resourceJson(find(snapshot, type, name)))
}
