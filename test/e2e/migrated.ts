/** How objects of a migration are looked at: what of the old stands as it was, what is Atlas's, which records are in a zone. */
import {expect} from 'chai'
import {goatlasZone} from '../helpers/goatlas-objects.js'
import {endpointsIn} from '../helpers/zone.js'
import type {Stored} from './migration.js'

/** By kind and name. */
export type Objects = ReadonlyMap<string, Stored>

/** What an object says, without what the API server counts. */
export function said(object: Stored | undefined): object {
  const {resourceVersion: _, managedFields: __, ...metadata} = {managedFields: undefined, ...object?.metadata}
  return {...object, metadata}
}

export function versions(objects: Objects): ReadonlyMap<string, string> {
  return new Map([...objects].map(([key, {metadata}]) => [key, metadata.resourceVersion]))
}

/** No program has written the Services that lead to these clusters since `before`. */
export function expectSameServices(before: Objects, after: Objects, clusters: readonly string[]): void {
  for (const [key, object] of before)
    if (clusters.some(name => key.startsWith(`Service/${name}-thanos-sidecar`)))
      expect(after.get(key)?.metadata.resourceVersion, key).to.equal(object.metadata.resourceVersion)
}

/** A Service that leads to Atlas's observability Envoy and nowhere else, and has no other owner. */
export function expectOurs(object: Stored | undefined): void {
  expect(object?.spec).to.deep.include({
    selector: {'goatlas.io/envoy': 'observability'},
    ports: [{name: 'thanos', port: 10_901, targetPort: 10_901, protocol: 'TCP'}],
  })
  expect(JSON.stringify(object?.metadata)).not.to.contain('objectset')
}

/** Every record by which Thanos Query found the clusters stands in a zone that is there. */
export function expectRecords(objects: Objects): void {
  const zones = ['ConfigMap/atlas-atlas-coredns', 'ConfigMap/atlas-coredns'].map(key => objects.get(key)?.data?.['atlas.zone'] ?? '')
  for (const name of ['_thanos._tcp.sidecars.thanos.atlas.', '_grpc._tcp.sidecars.thanos.atlas.'])
    expect(zones.flatMap(zone => (zone === '' ? [] : [...endpointsIn(zone, name)]))).to.include.members([...endpointsIn(goatlasZone, name)])
}
