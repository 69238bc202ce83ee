/** The installation in a store: its fleet and its settings, which every use case but `init` requires. */
import {AtlasError} from '../model/errors.js'
import type {Change} from '../model/change.js'
import type {Fleet} from '../model/fleet.js'
import type {Settings} from '../model/settings.js'
import {type StateStore, notInitialised} from '../store/store.js'
import {type CommitOptions, type Committed, commitPlan} from './commit.js'

export interface Installation {
  readonly fleet: Fleet
  readonly settings: Settings
}

/** @throws AtlasError `not-found` where nothing was initialised, `failed` where the settings cannot be read, and what the store throws */
export async function loadInstallation(store: StateStore): Promise<Installation> {
  const fleet = await store.load()
  return {fleet, settings: settingsIn(fleet, store)}
}

/** As `commitPlan`, on an installation. @throws AtlasError as `loadInstallation` and `commitPlan` */
export async function changeInstallation(
  store: StateStore,
  plan: (fleet: Fleet) => readonly Change[],
  options: CommitOptions,
): Promise<Committed> {
  return commitPlan(
    store,
    fleet => {
      settingsIn(fleet, store)
      return plan(fleet)
    },
    options,
  )
}

/** Undefined where nothing was initialised. @throws AtlasError `failed` where the settings cannot be read */
export function readableSettings({faults, settings}: Fleet): Settings | undefined {
  const fault = faults.get('settings')
  if (fault !== undefined)
    throw new AtlasError('failed', `the settings in ${fault.source ?? fault.object} cannot be read: ${fault.message}`, {
      hint: `fix ${fault.key} there`,
    })
  return settings
}

function settingsIn(fleet: Fleet, store: StateStore): Settings {
  const settings = readableSettings(fleet)
  if (settings === undefined) throw notInitialised(store)
  return settings
}
