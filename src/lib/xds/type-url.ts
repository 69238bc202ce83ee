/** Which resource types there are, in which order they are pushed and removed. Data only; what is done with it stands in session.ts and removal.ts. */
import type {TypeUrl} from './snapshot.js'

const config = 'type.googleapis.com/envoy.config'

/** The resource types of an aggregated stream, by the word that Atlas uses for them. */
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

/** Whether a stream may carry the type; a request for any other is parked, not refused. */
export function isKnownType(typeUrl: TypeUrl): boolean {
  return known.has(typeUrl)
}

/**
 * Whether a client keeps of a refused response what stood before the bad resource, without using it, and takes the same again
 * for no change: an ACK without effect. Measured on Envoy 1.40 with scopes; what it keeps must be removed or replaced first.
 */
export function leavesResidue(typeUrl: TypeUrl): boolean {
  return typeUrl === typeUrls.scope
}

/**
 * Whether the type may be asked for without names, and then also whether a SotW response holds all there is, so that
 * omission deletes (CDS, LDS, SRDS). All others are asked for by name, and absence deletes nothing.
 */
export function allowsWildcard(typeUrl: TypeUrl): boolean {
  return wildcardTypes.has(typeUrl)
}
