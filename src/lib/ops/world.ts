/** What a use case needs of the world beside its store: the time and a signer. */
import {AtlasError} from '../model/errors.js'
import type {Fleet} from '../model/fleet.js'
import type {Settings} from '../model/settings.js'
import type {Signer} from '../pki/signer.js'

export interface World {
  now(): Date
  readonly signer: Signer
}

/** @throws AtlasError `not-found` where nothing was initialised, `failed` where the settings can't be read */
export function settingsOf(fleet: Fleet): Settings {
  const fault = fleet.faults.get('settings')
  if (fault !== undefined)
    throw new AtlasError('failed', `the settings in ${fault.source ?? fault.object} can't be read: ${fault.message}`, {
      hint: `mend ${fault.key} there`,
    })
  if (fleet.settings === undefined)
    throw new AtlasError('not-found', 'there is no Atlas here yet: ConfigMap atlas-fleet is missing', {
      hint: 'run "atlas init" first, with the same --store or --namespace',
    })
  return fleet.settings
}
