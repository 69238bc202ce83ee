/** What a client subscribes to of one type on one stream, and how a request of either variant changes it. delta.ts and sotw.ts answer. */

export interface Subscription {
  /** `legacy`: by a first request without names; `explicit`: by the name "*" (xDS protocol, "How the client specifies what resources to return"). */
  readonly wildcard: 'none' | 'legacy' | 'explicit'
  readonly names: ReadonlySet<string>
}

/** A subscription after a request, and how it differs from before. */
export interface SubscriptionChange {
  readonly subscription: Subscription
  /** Names that must be answered even if the client seems to have them. */
  readonly asked: readonly string[]
  /** Names that the client unsubscribed, and dropped without being told. */
  readonly dropped: readonly string[]
  readonly wildcardBegan: boolean
  readonly wildcardEnded: boolean
  /** Names that the request held more than once. */
  readonly duplicates: readonly string[]
  /** "*" for a type that is only served by name. */
  readonly wildcardRefused: boolean
}

/** How the type of the request may be subscribed. */
export interface SubscriptionRules {
  readonly allowsWildcard: boolean
}

const WILDCARD = '*'

export const noSubscription: Subscription = {wildcard: 'none', names: new Set()}

/** Whether the client subscribes to the name. */
export function isSubscribed(subscription: Subscription, name: string): boolean {
  return subscription.wildcard !== 'none' || subscription.names.has(name)
}

/**
 * The subscription after a delta request; `before` is undefined for the first request of the type on the stream.
 * Subscribing a name doesn't end a legacy wildcard, unsubscribing "*" does; the last name unsubscribed leaves nothing, never all.
 * A name that one request both unsubscribes and subscribes was dropped and added again: it is subscribed.
 */
export function subscribeDelta(
  before: Subscription | undefined,
  request: {readonly subscribe: readonly string[]; readonly unsubscribe: readonly string[]},
  rules: SubscriptionRules,
): SubscriptionChange {
  const subscribe = new Set(request.subscribe)
  const unsubscribe = new Set(request.unsubscribe)
  const names = new Set(before?.names)
  const left = [...unsubscribe].filter(name => names.delete(name) && !subscribe.has(name))
  for (const name of subscribe) if (name !== WILDCARD) names.add(name)

  const wildcard = deltaWildcard(before, {subscribe, unsubscribe}, rules)
  const kept = wildcard === 'none' ? [] : left
  return {
    ...compare(before ?? noSubscription, {wildcard, names}),
    // Unsubscribed while the wildcard covers it: sent again, or named as removed (xDS protocol, "Unsubscribing From Resources").
    asked: [...subscribe].filter(name => name !== WILDCARD).concat(kept),
    dropped: wildcard === 'none' ? left : [],
    duplicates: [...repeated(request.subscribe), ...repeated(request.unsubscribe)],
    wildcardRefused: subscribe.has(WILDCARD) && !rules.allowsWildcard,
  }
}

/**
 * The subscription after a SotW request, which lists all names; `before` is undefined for the first request of the type on the
 * stream. A request without names subscribes to all resources only as long as no request of the stream had names.
 */
export function subscribeSotw(before: Subscription | undefined, listed: readonly string[], rules: SubscriptionRules): SubscriptionChange {
  const names = new Set(listed)
  const explicit = names.delete(WILDCARD)
  const legacy = listed.length === 0 && (before === undefined || before.wildcard === 'legacy')
  const wildcard = !rules.allowsWildcard ? 'none' : explicit ? 'explicit' : legacy ? 'legacy' : 'none'
  return {
    ...compare(before ?? noSubscription, {wildcard, names}),
    asked: [...names].filter(name => !before?.names.has(name)),
    dropped: wildcard === 'none' && before !== undefined ? [...before.names].filter(name => !names.has(name)) : [],
    duplicates: repeated(listed),
    wildcardRefused: explicit && !rules.allowsWildcard,
  }
}

function deltaWildcard(
  before: Subscription | undefined,
  {subscribe, unsubscribe}: {readonly subscribe: ReadonlySet<string>; readonly unsubscribe: ReadonlySet<string>},
  rules: SubscriptionRules,
): Subscription['wildcard'] {
  if (!rules.allowsWildcard) return 'none'
  if (subscribe.has(WILDCARD)) return 'explicit'
  if (unsubscribe.has(WILDCARD)) return 'none'
  if (before === undefined) return subscribe.size === 0 ? 'legacy' : 'none'
  return before.wildcard
}

function compare(before: Subscription, after: Subscription): Pick<SubscriptionChange, 'subscription' | 'wildcardBegan' | 'wildcardEnded'> {
  const same =
    before.wildcard === after.wildcard && before.names.size === after.names.size && [...after.names].every(name => before.names.has(name))
  return {
    subscription: same ? before : after,
    wildcardBegan: before.wildcard === 'none' && after.wildcard !== 'none',
    wildcardEnded: before.wildcard !== 'none' && after.wildcard === 'none',
  }
}

function repeated(names: readonly string[]): readonly string[] {
  const seen = new Set<string>()
  return [...new Set(names.filter(name => seen.size === seen.add(name).size))]
}
