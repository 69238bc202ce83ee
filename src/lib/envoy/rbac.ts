/** Envoy's RBAC filters: which clients a listener admits by the name in their verified certificate, after TLS and beyond what TLS can decide. */
import {create} from '@bufbuild/protobuf'
import type {Any} from '@bufbuild/protobuf/wkt'
import {type RBAC, RBACSchema, RBAC_Action, type Principal, PrincipalSchema} from '../../gen/envoy/config/rbac/v3/rbac_pb.js'
import {RBACPerRouteSchema, RBACSchema as RbacFilterSchema} from '../../gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js'
import {RBACSchema as ConnectionFilterSchema} from '../../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js'
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {ConfigSchema} from '../../gen/envoy/extensions/rbac/principals/mtls_authenticated/v3/mtls_authenticated_pb.js'
import {type Fleet, isServed} from '../model/fleet.js'
import {OBSERVABILITY, type Owner, spiffe} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {extension, pack} from './core.js'
import {type PeerName, sanMatcher} from './tls.js'

/** The names of the filters. They are part of every listener: another name would change it, and cut its streams. */
const ALLOW_FILTER = 'atlas.door'
const DENY_FILTER = 'atlas.denied'

/**
 * A filter of connections: admits clients with any of these names, as the TLS of the listener has done before it. It examines a connection once, at
 * its first bytes. Examining each request costs a twentieth of Envoy's CPU for small calls, and can decide nothing else.
 */
export function connectionFilter(statPrefix: string, allowed: readonly PeerName[]) {
  const admitted = rules(
    RBAC_Action.ALLOW,
    'door',
    allowed.map(name => peer(name)),
  )
  return extension(ALLOW_FILTER, ConnectionFilterSchema, {statPrefix, rules: admitted})
}

/** Admits requests of clients with any of the `allowed` names but `except`. Adding or removing a cluster doesn't change it. */
export function allowFilter(allowed: readonly PeerName[], except?: PeerName): HttpFilter {
  const principals = allowed.map(name =>
    except === undefined
      ? peer(name)
      : create(PrincipalSchema, {
          identifier: {case: 'andIds', value: {ids: [peer(name), {identifier: {case: 'notId', value: peer(except)}}]}},
        }),
  )
  return create(HttpFilterSchema, extension(ALLOW_FILTER, RbacFilterSchema, {rules: rules(RBAC_Action.ALLOW, 'door', principals)}))
}

/**
 * An empty filter that `denyRoutes` fills in per route: a changed listener cuts every stream
 * (docs/explanation/envoy.md#listener-updates).
 */
export function denyFilter(): HttpFilter {
  return create(HttpFilterSchema, extension(DENY_FILTER, RbacFilterSchema, {}))
}

/** A `typed_per_filter_config` that denies these names; Envoy logs such a denial as `rbac_access_denied_matched_policy[denied]`. */
export function denyRoutes(names: readonly string[]): Record<string, Any> {
  if (names.length === 0) return {}
  const principals = names.map(name => peer({exact: name}))
  return {[DENY_FILTER]: pack(RBACPerRouteSchema, {rbac: {rules: rules(RBAC_Action.DENY, 'denied', principals)}})}
}

/**
 * The names of ADS credentials that 10900 denies, sorted: those of earlier generations until their certificates end, and the current
 * name of a cluster that has a record and is not served, because it is suspended, revoked or removed.
 */
export function deniedAdsClients(fleet: Fleet, settings: Settings): readonly string[] {
  return deniedBelow(fleet, settings, spiffe.adsClients(settings.trustDomain))
}

/** The same for the names of identities, which 10903 denies. */
export function deniedSenders(fleet: Fleet, settings: Settings): readonly string[] {
  return deniedBelow(fleet, settings, spiffe.downstreams(settings.trustDomain))
}

/** More would only make the list long: a cluster gets another generation each time that it is revoked or removed. */
const GENERATIONS_DENIED = 32

/**
 * All names of one owner that follow from its record and registration: those of its ADS credentials, and of its identities. Names of
 * earlier generations are denied for as long as the record stands, whatever its denials say: by a clock that was far ahead these may have
 * been dropped while certificates under the names are still valid. Of these the last `GENERATIONS_DENIED` count.
 */
export function deniedOf(fleet: Fleet, {trustDomain}: Settings, owner: Owner): readonly string[] {
  const record = fleet.records.get(owner)
  if (record === undefined) return []
  const names = record.denied.map(({name}) => name)
  if (owner === OBSERVABILITY) return names
  const last = isServed(fleet, owner) ? record.generation - 1 : record.generation
  const generations = Array.from({length: Math.min(last, GENERATIONS_DENIED)}, (_, index) => last - index)
  const past = generations.flatMap(generation => [
    spiffe.adsClient(trustDomain, owner, generation),
    spiffe.downstream(trustDomain, owner, generation),
  ])
  return [...new Set([...names, ...past])]
}

function deniedBelow(fleet: Fleet, settings: Settings, prefix: string): readonly string[] {
  const names = [...fleet.records.keys()].flatMap(owner => deniedOf(fleet, settings, owner))
  return [...new Set(names.filter(name => name.startsWith(prefix)))].sort()
}

function rules(action: RBAC_Action, policy: string, principals: Principal[]): RBAC {
  return create(RBACSchema, {action, policies: {[policy]: {permissions: [{rule: {case: 'any', value: true}}], principals}}})
}

/** Not `authenticated`, which uses other fields of a certificate that has no URI. */
function peer(name: PeerName): Principal {
  return create(PrincipalSchema, {
    identifier: {
      case: 'custom',
      value: {
        name: 'envoy.rbac.principals.mtls_authenticated',
        typedConfig: pack(ConfigSchema, {type: {case: 'sanMatcher', value: sanMatcher(name)}}),
      },
    },
  })
}
