/**
 * Creating an installation: its settings and its root. Where they exist, only settings that were asked for by name change; a root that
 * the 2021 program left is adopted.
 */
import {type Change, reduceAll} from '../model/change.js'
import {AtlasError} from '../model/errors.js'
import {type Fleet, faultOf} from '../model/fleet.js'
import {type Lifetimes, type ProxyTimeouts, type Settings, defaultSettings, requireClients} from '../model/settings.js'
import {rootSpec} from '../pki/certificate-specs.js'
import {issue} from '../pki/issue.js'
import type {StateStore} from '../store/store.js'
import {type Adoption, adoptionIn, planAdopt, standardSettings} from './goatlas/adopt.js'
import {type CommitOptions, type Committed, commitPlan, sameValue} from './commit.js'
import {planReconcile} from './reconcile.js'
import {REQUESTS, placeForRequests} from './replicas.js'
import type {OpsDependencies} from './dependencies.js'

/** What was asked for by name; all else keeps what stands or takes the default. */
export type Choices = Partial<Omit<Settings, 'lifetimes' | 'timeouts'>> & {
  readonly lifetimes?: Partial<Lifetimes>
  readonly timeouts?: Partial<ProxyTimeouts>
}

export interface InitResult extends Committed {
  readonly settings: Settings
  /** Whether the root was made now. */
  readonly created: boolean
  /** The settings that an existing installation got anew. */
  readonly changed: readonly (keyof Settings)[]
  /** What was taken over from the 2021 program, where it was now. */
  readonly adopted?: Adoption
}

export interface InitOptions extends CommitOptions {
  /** Where there is an installation, nothing is changed, whatever was chosen. */
  readonly ifMissing?: boolean
  /** Whether the store was opened with the right to read the root; true where nothing is said. */
  readonly readsRoot?: boolean
}

/**
 * Creates `atlas-fleet`, the root, and all that follows from them.
 * @throws AtlasError `conflict` when the trust domain of an existing installation is to change, or its root is gone; `failed` when
 * something is broken, or a root to be adopted can't be used any more; `invalid` for a mutual TLS port that would admit nobody
 */
export async function init(
  store: StateStore,
  choices: Choices,
  dependencies: OpsDependencies,
  options: InitOptions = {},
): Promise<InitResult> {
  const committed =
    store.signedBy === 'leader'
      ? await initLed(store, choices, dependencies, options)
      : await commitPlan(store, fleet => (isPassedOver(fleet, options) ? [] : planInit(fleet, choices, dependencies)), options)
  const settings = committed.after.settings ?? withChoices(standardSettings(committed.before, choices), choices)
  const adopted = adoptionIn(committed.before, committed.after)
  return {
    ...committed,
    ...(adopted !== undefined && {adopted}),
    settings,
    created: !committed.before.authority.has('root') && committed.after.authority.has('root'),
    changed: committed.before.settings === undefined ? [] : changedKeys(committed.before.settings, settings),
  }
}

/**
 * Where a leader signs, settings and root are all that is made here. The root is created and not looked at where it may not be read:
 * whether it is there already the store says then.
 */
async function initLed(store: StateStore, choices: Choices, dependencies: OpsDependencies, options: InitOptions): Promise<Committed> {
  const namespace = store.namespace ?? defaultSettings.namespace
  const standard: Settings = {...defaultSettings, namespace, thanosNamespace: namespace}
  const first = await commitPlan(
    store,
    fleet => {
      if (isPassedOver(fleet, options)) return []
      if (options.readsRoot === false) refuseTrustAlone(fleet)
      const changes = planSettings(fleet, choices, standard)
      return [...changes, ...planAdopt(fleet, reduceAll(fleet, changes).settings ?? standard, dependencies)]
    },
    options,
  )
  if (options.dryRun !== true && !first.after.revisions.has(REQUESTS)) await makePlaceForRequests(store)
  const {after} = first
  const isThere = after.authority.has('root') || (options.readsRoot === false && after.trust !== undefined)
  if (isThere || after.settings === undefined) return first
  const root: Change = {kind: 'authority', part: 'root', value: newRoot(after, after.settings, dependencies)}
  if (options.dryRun === true) return {...first, changes: [...first.changes, root], after: reduceAll(after, [root])}
  try {
    return {...first, changes: [...first.changes, root], after: await store.commit(after, [root])}
  } catch (error) {
    if (options.readsRoot === false && error instanceof AtlasError && error.code === 'conflict') return first
    throw error
  }
}

/** People who may only change it need it before the first leader comes. Whoever was faster has made it, too. */
async function makePlaceForRequests(store: StateStore): Promise<void> {
  try {
    await store.commit(await store.load(), [placeForRequests])
  } catch (error) {
    if (!(error instanceof AtlasError) || error.code !== 'conflict') throw error
  }
}

function isPassedOver({settings}: Fleet, {ifMissing}: InitOptions): boolean {
  return ifMissing === true && settings !== undefined
}

function planInit(fleet: Fleet, choices: Choices, dependencies: OpsDependencies): readonly Change[] {
  const changes: Change[] = [...planSettings(fleet, choices, standardSettings(fleet, choices))]
  const settings = reduceAll(fleet, changes).settings ?? defaultSettings
  changes.push(...planAdopt(fleet, settings, dependencies))
  if (!fleet.authority.has('root')) changes.push({kind: 'authority', part: 'root', value: newRoot(fleet, settings, dependencies)})
  return [...changes, ...planReconcile(reduceAll(fleet, changes), dependencies)]
}

/** @param standard what a new installation takes where nothing is chosen */
function planSettings(fleet: Fleet, choices: Choices, standard: Settings): readonly Change[] {
  refuseBroken(fleet)
  refuseLostSettings(fleet)
  const settings = withChoices(fleet.settings ?? standard, choices)
  if (fleet.settings !== undefined && fleet.settings.trustDomain !== settings.trustDomain)
    throw new AtlasError(
      'conflict',
      `the trust domain here is "${fleet.settings.trustDomain}" and part of every certificate; it can't become "${settings.trustDomain}"`,
      {hint: 'leave --trust-domain out, or begin anew in another store'},
    )
  requireClients(settings)
  return sameValue(fleet.settings, settings) ? [] : [{kind: 'settings', value: settings}]
}

/** Overwriting what can't be read would lose it: a root above all. */
function refuseBroken(fleet: Fleet): void {
  for (const fault of [faultOf(fleet, 'settings'), faultOf(fleet, 'authority', 'root')]) {
    if (fault !== undefined)
      throw new AtlasError('failed', `${fault.source ?? fault.object} can't be read: ${fault.message}`, {
        hint: `mend ${fault.key} there, or restore it from a backup; init overwrites nothing`,
      })
  }
}

/** New settings beside old certificates would issue all of them anew, under another trust domain perhaps. */
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

function newRoot(fleet: Fleet, settings: Settings, dependencies: OpsDependencies): ReturnType<typeof issue> {
  const wasSigned = fleet.trust !== undefined || fleet.credentials.size > 0 || fleet.identities.size > 0
  if (wasSigned)
    throw new AtlasError(
      'conflict',
      'certificates were issued here, but their root (Secret atlas-ca) is gone; a new root would lock every proxy out',
      {hint: 'restore Secret atlas-ca from a backup'},
    )
  return issue(rootSpec(settings), undefined, dependencies.now(), dependencies.signer)
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
