/**
 * Creates an installation: its settings, and its root (new-authority.ts). In an existing installation only the settings that the caller names
 * change. A root that can be adopted is adopted (goatlas/adopt.ts).
 */
import {type Change, reduceAll} from '../model/change.js'
import {installationMark, keptByAnother, mayKeep} from '../model/endpoints.js'
import {AtlasError, quote} from '../model/errors.js'
import {type Fleet, faultOf} from '../model/fleet.js'
import {requireClients} from '../model/internal-ports.js'
import {parseSidecarName} from '../model/names.js'
import {endpointOf} from '../manifest/endpoints.js'
import {requireOrder} from '../model/setting-ranges.js'
import {type Lifetimes, type ProxyTimeouts, type Settings, defaultSettings} from '../model/settings.js'
import type {StateStore} from '../store/store.js'
import {type Adoption, adoptionIn, planAdopt, standardSettings} from './goatlas/adopt.js'
import {judgedOnce} from './clock.js'
import {type CommitOptions, type Committed, commitPlan, sameValue} from './commit.js'
import {planReconcile} from './reconcile.js'
import {noRenewals} from './renewals.js'
import {type RootChoice, planNewAuthority, refuseDoubt, refuseOtherRoot} from './new-authority.js'
import {REQUESTS, placeForRequests} from './replicas.js'
import type {OpsDependencies} from './dependencies.js'

/** The settings that the caller names. All others keep their value, or take the default. */
export type Choices = Partial<Omit<Settings, 'lifetimes' | 'timeouts'>> & {
  readonly lifetimes?: Partial<Lifetimes>
  readonly timeouts?: Partial<ProxyTimeouts>
}

export interface InitResult extends Committed {
  readonly settings: Settings
  /** Whether the root was made now. */
  readonly created: boolean
  /** The settings of an existing installation that changed. */
  readonly changed: readonly (keyof Settings)[]
  /** What was adopted now; absent: nothing. */
  readonly adopted?: Adoption
}

export interface InitOptions extends CommitOptions, RootChoice {
  /** An existing installation is not changed, whatever the choices. */
  readonly ifMissing?: boolean
  /** Whether the store was opened with the right to read the root; true by default. */
  readonly readsRoot?: boolean
}

/**
 * Creates `atlas-fleet`, the root, and all that follows from them.
 * @throws AtlasError `conflict` when the trust domain, the namespace or the root of an existing installation is to change, or its root is gone; `failed` when
 * the settings or the root are broken, a root cannot be adopted, or another installation keeps the endpoints for Thanos Query; `invalid` for a mutual TLS port that would
 * admit no client, for lifetimes that are not shorter than those of their issuers, and for a root from outside that cannot be used
 */
export async function init(
  store: StateStore,
  choices: Choices,
  dependencies: OpsDependencies,
  options: InitOptions = {},
): Promise<InitResult> {
  await refuseEndpointsOfAnother(store, choices, options)
  const committed =
    store.signedBy === 'leader'
      ? await initLed(store, choices, dependencies, options)
      : await commitPlan(
          store,
          fleet => (isUnchanged(fleet, options) ? [] : planInit(fleet, choices, options, judgedOnce(dependencies, store, fleet))),
          options,
        )
  const settings = committed.after.settings ?? withChoices(standardSettings(committed.before, choices), choices)
  const adopted = adoptionIn(committed.before, committed.after)
  return {
    ...committed,
    ...(adopted !== undefined && {adopted}),
    settings,
    // Of several processes that create it at the same time one does, and only that one reports it.
    created:
      !committed.before.authority.has('root') && isWritten(committed, change => change.kind === 'authority' && change.part === 'root'),
    changed:
      committed.before.settings === undefined || !isWritten(committed, ({kind}) => kind === 'settings')
        ? []
        : changedKeys(committed.before.settings, settings),
  }
}

/** Endpoints that another installation keeps would never list a cluster of this one: noticed before anything is made. */
async function refuseEndpointsOfAnother(store: StateStore, choices: Choices, options: InitOptions): Promise<void> {
  if (store.namespace === undefined) return
  const fleet = await store.load()
  const settings = withChoices(fleet.settings ?? ledStandard(store), choices)
  if (isUnchanged(fleet, options) || fleet.settings?.thanosNamespace === settings.thanosNamespace) return
  const present = await store.endpointsIn(settings.thanosNamespace)
  if (present !== undefined && !mayKeep(present, installationMark(settings))) throw keptByAnother(present, settings.thanosNamespace)
}

/** The defaults of a new installation in the namespace of the store. */
function ledStandard(store: StateStore): Settings {
  const namespace = store.namespace ?? defaultSettings.namespace
  return {...defaultSettings, namespace, thanosNamespace: namespace}
}

function isWritten({changes}: Committed, is: (change: Change) => boolean): boolean {
  return changes.some(change => change.value !== undefined && is(change))
}

/**
 * Where a leader signs, only the settings and the root are made here. If the caller may not read the root, it tries to create one, and the
 * store refuses that if there is one.
 */
async function initLed(store: StateStore, choices: Choices, dependencies: OpsDependencies, options: InitOptions): Promise<Committed> {
  const standard = ledStandard(store)
  const first = await commitPlan(
    store,
    fleet => {
      if (isUnchanged(fleet, options)) return []
      if (options.readsRoot === false) refuseTrustAlone(fleet)
      refuseOtherRoot(fleet, options)
      const changes = planSettings(fleet, choices, standard)
      return [...changes, ...adopt(fleet, reduceAll(fleet, changes).settings ?? standard, judgedOnce(dependencies, store, fleet))]
    },
    options,
  )
  if (options.dryRun !== true && !first.after.revisions.has(REQUESTS)) await makeRequestsObject(store)
  const {after} = first
  const isThere = after.authority.has('root') || (options.readsRoot === false && after.trust !== undefined)
  if (isThere || after.settings === undefined) return first
  const made = planNewAuthority(after, after.settings, options, judgedOnce(dependencies, store, after))
  const changes = [...first.changes, ...made]
  if (options.dryRun === true) return {...first, changes, after: reduceAll(after, made)}
  try {
    return {...first, changes, after: await store.commit(after, made)}
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
    if (options.readsRoot === false) return first
    // Another process has created the root meanwhile.
    const now = await store.load()
    if (!now.authority.has('root')) throw error
    return {...first, after: now}
  }
}

/** Accounts that may only update it need it before the first leader makes it. A conflict means that another process has made it. */
async function makeRequestsObject(store: StateStore): Promise<void> {
  try {
    await store.commit(await store.load(), [placeForRequests])
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
  }
}

function isUnchanged({settings}: Fleet, {ifMissing}: InitOptions): boolean {
  return ifMissing === true && settings !== undefined
}

function planInit(fleet: Fleet, choices: Choices, options: InitOptions, dependencies: OpsDependencies): readonly Change[] {
  refuseOtherRoot(fleet, options)
  const changes: Change[] = [...planSettings(fleet, choices, standardSettings(fleet, choices))]
  const settings = reduceAll(fleet, changes).settings ?? defaultSettings
  changes.push(...adopt(fleet, settings, dependencies))
  if (!fleet.authority.has('root')) changes.push(...planNewAuthority(fleet, settings, options, dependencies))
  return [...changes, ...planReconcile(reduceAll(fleet, changes), dependencies, {renewals: noRenewals})]
}

/** @param standard the defaults of a new installation */
function planSettings(fleet: Fleet, choices: Choices, standard: Settings): readonly Change[] {
  refuseBroken(fleet)
  refuseLostSettings(fleet)
  const settings = withChoices(fleet.settings ?? standard, choices)
  if (fleet.settings !== undefined && fleet.settings.trustDomain !== settings.trustDomain)
    throw new AtlasError(
      'conflict',
      `the trust domain here is "${fleet.settings.trustDomain}" and part of every certificate; it cannot become "${settings.trustDomain}"`,
      {hint: 'leave --trust-domain out, or make a new installation in another store'},
    )
  if (fleet.settings !== undefined && fleet.settings.namespace !== settings.namespace)
    throw new AtlasError(
      'conflict',
      `this installation is that of namespace "${fleet.settings.namespace}", which is part of every name in it; it cannot become that of "${settings.namespace}"`,
      {hint: 'leave --namespace (or ATLAS_NAMESPACE) out, or make a new installation in another store'},
    )
  requireClients(settings)
  refuseOwnAddresses(settings)
  // Lifetimes that an earlier release accepted do not stop a change of other settings.
  if (choices.lifetimes !== undefined) requireOrder(settings.lifetimes)
  return sameValue(fleet.settings, settings) ? [] : [{kind: 'settings', value: settings}]
}

/** Thanos Query keeps one of two endpoints with the same address, and a cluster would lose the settings that Atlas writes for it. */
function refuseOwnAddresses(settings: Settings): void {
  const own = settings.extraEndpoints.find(({address}) => {
    const [service = ''] = /[a-z0-9-]+-thanos-sidecar[a-z0-9-]*/.exec(address) ?? []
    return parseSidecarName(service) !== undefined && endpointOf(settings, service) === address
  })
  if (own !== undefined)
    throw new AtlasError('invalid', `the extra endpoint ${quote(own.address)} has an address of Atlas's own endpoints`, {
      hint: 'leave it out: Atlas lists each cluster that is registered',
    })
}

/** What is broken is not overwritten: the root, above all, would be lost. */
function refuseBroken(fleet: Fleet): void {
  for (const fault of [faultOf(fleet, 'settings'), faultOf(fleet, 'authority', 'root')]) {
    if (fault !== undefined)
      throw new AtlasError('failed', `${fault.source ?? fault.object} cannot be read: ${fault.message}`, {
        hint: `fix ${fault.key} there, or restore it from a backup; init does not overwrite it`,
      })
  }
}

/** With new settings all certificates would be replaced, perhaps under another trust domain. */
function refuseLostSettings(fleet: Fleet): void {
  if (fleet.settings === undefined && fleet.authority.has('root')) refuseTrustAlone(fleet)
}

function refuseTrustAlone(fleet: Fleet): void {
  if (fleet.settings !== undefined || fleet.trust === undefined) return
  throw new AtlasError(
    'conflict',
    'certificates were issued here, but the settings (ConfigMap atlas-fleet) are gone; new ones could lock every proxy out',
    {
      hint: 'restore ConfigMap atlas-fleet from a backup; where there is none, write one by hand with the trust domain and the addresses that the certificates and bootstraps carry',
    },
  )
}

function adopt(fleet: Fleet, settings: Settings, dependencies: OpsDependencies): readonly Change[] {
  const changes = planAdopt(fleet, settings, dependencies)
  if (changes.length > 0) refuseDoubt(dependencies)
  return changes
}

function withChoices(settings: Settings, choices: Choices): Settings {
  return {
    ...settings,
    ...choices,
    lifetimes: {...settings.lifetimes, ...choices.lifetimes},
    timeouts: {...settings.timeouts, ...choices.timeouts},
  }
}

function changedKeys(before: Settings, after: Settings): readonly (keyof Settings)[] {
  return (Object.keys(after) as (keyof Settings)[]).filter(key => !sameValue(before[key], after[key]))
}
