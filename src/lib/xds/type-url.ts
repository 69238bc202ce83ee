/** The resource types, and in which order they are pushed and removed. Data alone: session.ts and removal.ts use it. */
import type {TypeUrl} from './snapshot.js'

const config = 'type.googleapis.com/envoy.config'

/** The resource types of an aggregated stream, by Atlas's word for each. */
export const typeUrls = {
  cluster: `${config}.cluster.v3.Cluster`,
  endpoint: `${config}.endpoint.v3.ClusterLoadAssignment`,
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  listener: `${config}.listener.v3.Listener`,
  scope: `${config}.route.v3.ScopedRouteConfiguration`,
  route: `${config}.route.v3.RouteConfiguration`,
} as const satisfies Record<string, TypeUrl>

/** Additions and changes: what is referred to goes before what refers to it (xDS protocol, "Eventual consistency considerations"). */
export const pushOrder: readonly TypeUrl[] = [
  typeUrls.cluster,
  typeUrls.endpoint,
  typeUrls.secret,
  typeUrls.listener,
  typeUrls.scope,
  typeUrls.route,
]

/** Removals: what refers goes before what it refers to; secrets, used by listeners and clusters, come last. */
export const removalOrder: readonly TypeUrl[] = [
  typeUrls.scope,
  typeUrls.listener,
  typeUrls.route,
  typeUrls.cluster,
  typeUrls.endpoint,
  typeUrls.secret,
]

/** The types that send requests to clusters: until they are acknowledged, a client may still use what is to be removed. */
export const routingTypes: readonly TypeUrl[] = [typeUrls.listener, typeUrls.scope, typeUrls.route]

const wildcardTypes: ReadonlySet<TypeUrl> = new Set([typeUrls.cluster, typeUrls.listener, typeUrls.scope])
const known: ReadonlySet<TypeUrl> = new Set(pushOrder)

/** Whether the type is served. A request for any other is ignored; the stream goes on. */
export function isServedType(typeUrl: TypeUrl): boolean {
  return known.has(typeUrl)
}

/** The last name of a type that is served, such as `Cluster`; `other` for any type that a client may have made up. */
export function shortType(typeUrl: string): string {
  return isServedType(typeUrl) ? typeUrl.slice(typeUrl.lastIndexOf('.') + 1) : 'other'
}

/**
 * Whether a client keeps the resources of a NACKed response that come before the bad one, without applying them. It ACKs the same
 * versions again without effect, so what it keeps must be removed or replaced first. Measured on Envoy 1.40 with scopes.
 */
export function keepsUnapplied(typeUrl: TypeUrl): boolean {
  return typeUrl === typeUrls.scope
}

/**
 * Whether all users of a name in a client share one subscription and what it has received, as Envoy's listeners and clusters share
 * secrets and route tables: a new user finds what is there. After a reconnect such a client needs no version that it lists. A new user of
 * any other type that is subscribed by name waits for a response of its own (envoyproxy/envoy#22418, seen with EDS).
 */
export function isSharedByName(typeUrl: TypeUrl): boolean {
  return typeUrl === typeUrls.secret || typeUrl === typeUrls.route
}

/**
 * Whether the type may be subscribed without names (CDS, LDS, SRDS). A SotW response of such a type holds all resources, so omission
 * deletes. All other types are subscribed by name, and omission deletes nothing.
 */
export function allowsWildcard(typeUrl: TypeUrl): boolean {
  return wildcardTypes.has(typeUrl)
}
