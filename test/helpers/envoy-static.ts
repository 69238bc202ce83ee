/**
 * A snapshot as a bootstrap that needs no ADS: routes and scopes inside their listeners, secrets beside them. Only the
 * sources of resources are replaced; a secret from ADS in a static cluster would crash Envoy
 * (docs/explanation/envoy.md#secrets-of-bootstrap-clusters).
 */
import type {JsonObject, JsonValue} from '@bufbuild/protobuf'
import type {Snapshot} from '../../src/lib/xds/snapshot.js'
import {snapshotJson} from './envoy-json.js'

/** Makes Envoy reject deprecated fields; for static clusters it only logs `Using deprecated option`. */
export const noDeprecated = {'envoy.features.fail_on_any_deprecated_feature': true}

export function staticBootstrap(snapshot: Snapshot, differing: JsonObject = {}): JsonObject {
  const {cluster = [], listener = [], scope = [], route = [], secret = []} = snapshotJson(snapshot)
  const routes = new Map(route.map(each => [each['name'], each]))
  const inlined = (value: JsonValue): JsonValue => {
    if (Array.isArray(value)) return value.map(item => inlined(item))
    if (!isObject(value)) return value
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, entry]): [string, JsonValue][] => {
        if (key === 'sds_config') return []
        if (key === 'rds' && isObject(entry)) return [['route_config', routes.get(entry['route_config_name']) ?? {}]]
        if (key === 'scoped_rds')
          return [['scoped_route_configurations_list', {scoped_route_configurations: scope.length > 0 ? [...scope] : [nobody]}]]
        return [[key, inlined(entry)]]
      }),
    )
  }
  return {
    static_resources: {clusters: inlined([...cluster]), listeners: inlined([...listener]), secrets: [...secret]},
    layered_runtime: {layers: [{name: 'test', static_layer: noDeprecated}]},
    ...differing,
  }
}

/** Envoy requires at least one scope inside a listener. */
const nobody = {name: 'nobody', key: {fragments: [{string_key: 'nobody'}]}, route_configuration: {name: 'nobody'}}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
