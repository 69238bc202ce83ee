/** Inspects the objects of a migration: which are unchanged, which are Atlas's, and which records are in a zone. */
import {expect} from 'chai'
import {goatlasZone} from '../helpers/goatlas-objects.js'
import {endpointsIn} from '../helpers/zone.js'
import type {Stored} from './migration.js'

/** By kind and name. */
export type Objects = ReadonlyMap<string, Stored>

/** An object without the fields that the API server sets. */
export function said(object: Stored | undefined): object {
  const {resourceVersion: _, managedFields: __, ...metadata} = {managedFields: undefined, ...object?.metadata}
  return {...object, metadata}
}

export function versions(objects: Objects): ReadonlyMap<string, string> {
  return new Map([...objects].map(([key, {metadata}]) => [key, metadata.resourceVersion]))
}

/** Expects that no program has written the Services of these clusters since `before`. */
export function expectSameServices(before: Objects, after: Objects, clusters: readonly string[]): void {
  for (const [key, object] of before)
    if (clusters.some(name => key.startsWith(`Service/${name}-thanos-sidecar`)))
      expect(after.get(key)?.metadata.resourceVersion, key).to.equal(object.metadata.resourceVersion)
}

/** Expects a Service that selects only Atlas's observability Envoy, and has no other owner. */
export function expectOurs(object: Stored | undefined): void {
  expect(object?.spec).to.deep.include({
    selector: {'goatlas.io/envoy': 'observability'},
    ports: [{name: 'thanos', port: 10_901, targetPort: 10_901, protocol: 'TCP'}],
  })
  expect(JSON.stringify(object?.metadata)).not.to.contain('objectset')
}

/** Expects that every record by which Thanos Query found the clusters is in a zone that exists. */
export function expectRecords(objects: Objects): void {
  const zones = ['ConfigMap/atlas-atlas-coredns', 'ConfigMap/atlas-coredns'].map(key => objects.get(key)?.data?.['atlas.zone'] ?? '')
  for (const name of ['_thanos._tcp.sidecars.thanos.atlas.', '_grpc._tcp.sidecars.thanos.atlas.'])
    expect(zones.flatMap(zone => (zone === '' ? [] : [...endpointsIn(zone, name)]))).to.include.members([...endpointsIn(goatlasZone, name)])
}
