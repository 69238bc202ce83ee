/**
 * What is pending for one resource type: how a request, an earlier stream or a new snapshot changes what the client is known to
 * have and what it is to have. The difference is what delta.ts and sotw.ts send.
 */
import {
  forgetVersions,
  type HeldVersion,
  heldVersion,
  onlyNames,
  rebase,
  removeVersions,
  setVersions,
  unknownVersion,
  type VersionMap,
} from './versions.js'
import type {Resource, Resources} from './snapshot.js'
import {isSubscribed, noSubscription, type Subscription, type SubscriptionChange} from './subscription.js'
import {
  filterSuspects,
  noNames,
  nothingToRemove,
  stillSuspect,
  type TypeState,
  type Unacknowledged,
  type Unapplied,
  withKnown,
} from './type-state.js'
import {isSharedByName, keepsUnapplied} from './type-url.js'

/**
 * The state after a request subscribed and unsubscribed names. `initial` are the `initial_resource_versions` of a delta client's
 * first request of the type. A name that the client subscribes is sent even if the client seems to have it (comment on
 * `resource_names_subscribe`), except secrets and route tables that it lists (type-url.ts): these are sent where the versions differ. A
 * name that the client lists but that doesn't exist isn't answered at once: it is removed like any other.
 */
export function applySubscription(state: TypeState, change: SubscriptionChange, initial: Readonly<Record<string, string>> = {}): TypeState {
  const {subscription, wildcardBegan, wildcardEnded} = change
  const restrict = (versions: VersionMap): VersionMap => (wildcardEnded ? onlyNames(versions, subscription.names) : versions)
  const listed = Object.entries(initial)
    .filter(([name]) => isSubscribed(subscription, name))
    .map(([name, version]): [string, HeldVersion] => [name, {version}])
  const known = removeVersions(setVersions(restrict(state.known), listed), change.dropped)
  const isListed = (name: string): boolean => Object.hasOwn(initial, name)
  const isShared = isSharedByName(state.typeUrl)
  const again = change.asked.filter(name => heldVersion(known, name) !== undefined && !(isShared && isListed(name)))
  const subscribedAgain = new Set(change.asked)
  return {
    ...withKnown(state, forgetVersions(known, again)),
    subscription,
    acked: removeVersions(setVersions(restrict(state.acked), listed), change.dropped),
    requested: union(
      without(state.requested, change.dropped),
      change.asked.filter(name => !isListed(name)),
    ),
    // No response follows that could be acknowledged, and a client uses the shared version that it lists.
    everAcked: state.everAcked || (isShared && listed.length > 0),
    responseDue: state.responseDue || wildcardBegan || (state.mode === 'full' && change.asked.length > 0),
    suspects: filterSuspects(state.suspects, name => !subscribedAgain.has(name)),
  }
}

/**
 * The state with what an earlier stream left unacknowledged. Envoy may or may not have what that stream sent or removed, in any
 * version, and `initial_resource_versions` lists neither correctly (measured on Envoy). So it is sent again, or named as removed.
 */
export function applyUnacknowledged(state: TypeState, earlier: Unacknowledged): TypeState {
  const names = [...earlier.sent, ...earlier.removed].filter(name => isSubscribed(state.subscription ?? noSubscription, name))
  if (names.length === 0) return state
  const kept = keepsUnapplied(state.typeUrl) ? names.map(name => unappliedOf(state, name)) : []
  const unapplied = kept.length === 0 ? state.unapplied : new Map([...state.unapplied, ...kept])
  // A SotW client lists no versions, and is sent everything.
  if (state.mode !== 'delta') return {...state, unapplied, isDoubted: true}
  return {
    ...withKnown({...state, unapplied, isDoubted: true}, forgetVersions(state.known, names)),
    acked: removeVersions(state.acked, names),
  }
}

/**
 * The state with everything to be sent once more. Envoy drops the scopes of a listener that it refuses. When it accepts the listener later, it
 * waits for scopes without requesting them, since its subscription has not changed, and then serves none (docs/explanation/envoy.md#nack).
 */
export function sendAgain(state: TypeState): TypeState {
  // In state of the world every response has all resources.
  if (state.mode !== 'delta') return {...state, responseDue: true}
  const held = [...state.known.base.keys()].filter(name => heldVersion(state.known, name) !== undefined)
  return {...withKnown(state, forgetVersions(state.known, held)), responseDue: true}
}

/**
 * The state with a new snapshot's resources as its target: where the client's versions differ from them is what is left to send.
 * Costs next to nothing when neither the resources nor the subscription changed.
 */
export function applySnapshot(state: TypeState, source: Resources, now: Date): TypeState {
  const {subscription} = state
  if (subscription === undefined) return state
  const same = state.target?.source === source && state.target.subscription === subscription
  const known = rebase(state.known, same ? state.known.base : subscribedResources(source, subscription))
  const targeted = {...state, target: {source, subscription}, known}
  const isGone = (name: string): boolean => !known.base.has(name)
  return scheduleRemovals(
    {
      ...targeted,
      suspects: stillSuspect(targeted, state.suspects),
      nackedRemovals: state.nackedRemovals.size === 0 ? noNames : new Set([...state.nackedRemovals].filter(name => isGone(name))),
      requested: state.mode === 'delta' ? state.requested : within(state.requested, known.base),
    },
    now,
  )
}

function unappliedOf(state: TypeState, name: string): [string, Unapplied] {
  return [name, {listed: heldVersion(state.known, name)?.version}]
}

/** Notes since when each resource is to be removed that the client has and the snapshot hasn't. */
function scheduleRemovals(state: TypeState, now: Date): TypeState {
  const toRemove = new Map<string, number>()
  // A SotW client that subscribed by name doesn't learn of removals, and keeps what it has. Nothing is left to do for what it NACKed.
  const forgotten: string[] = []
  for (const [name, held] of state.known.differing) {
    if (held === undefined || state.known.base.has(name) || state.nackedRemovals.has(name)) continue
    if (state.mode !== 'partial') toRemove.set(name, state.toRemove.get(name) ?? now.getTime())
    else if (held.version === unknownVersion.version) forgotten.push(name)
  }

  const known = removeVersions(state.known, forgotten)
  return {...state, known, toRemove: toRemove.size === 0 ? nothingToRemove : toRemove}
}

function subscribedResources(source: Resources, subscription: Subscription): Resources {
  if (subscription.wildcard !== 'none') return source
  const subscribed = new Map<string, Resource>()
  for (const name of subscription.names) {
    const resource = source.get(name)
    if (resource !== undefined) subscribed.set(name, resource)
  }

  return subscribed
}

function union(names: ReadonlySet<string>, more: readonly string[]): ReadonlySet<string> {
  return more.length === 0 ? names : new Set([...names, ...more])
}

function without(names: ReadonlySet<string>, fewer: readonly string[]): ReadonlySet<string> {
  if (names.size === 0 || fewer.length === 0) return names
  const left = new Set(names)
  for (const name of fewer) left.delete(name)
  return left
}

function within(names: ReadonlySet<string>, wanted: Resources): ReadonlySet<string> {
  return names.size === 0 ? names : new Set([...names].filter(name => wanted.has(name)))
}
