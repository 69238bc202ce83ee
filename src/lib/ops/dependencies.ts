/** What a use case needs of the world beside its store: the time and a signer. */
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import type {Settings} from '../model/settings.js'
import type {Signer} from '../pki/signer.js'
import {notInitialised} from '../store/not-initialised.js'
import type {StoreTraits} from '../store/store.js'

export interface OpsDependencies {
  now(): Date
  readonly signer: Signer
}

/**
 * @param store where the fleet was loaded from
 * @throws AtlasError `not-found` where nothing was initialised, `failed` where the settings can't be read
 */
export function settingsOf(fleet: Fleet, store: Pick<StoreTraits, 'description' | 'namespace'>): Settings {
  const settings = readableSettings(fleet)
  if (settings === undefined) throw notInitialised(store)
  return settings
}

/** Undefined where nothing was initialised. @throws AtlasError `failed` where the settings can't be read */
export function readableSettings({faults, settings}: Fleet): Settings | undefined {
  const fault = faults.get('settings')
  if (fault !== undefined)
    throw new AtlasError('failed', `the settings in ${fault.source ?? fault.object} can't be read: ${fault.message}`, {
      hint: `mend ${fault.key} there`,
    })
  return settings
}
