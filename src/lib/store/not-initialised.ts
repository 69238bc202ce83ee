/** The error of each command and server that finds no Atlas where a store should be. */
import {AtlasError} from '../model/errors.js'
import type {StoreTraits} from './store.js'

/** @returns AtlasError `not-found` with the place and what to do there */
export function notInitialised({description, namespace}: Pick<StoreTraits, 'description' | 'namespace'>): AtlasError {
  return new AtlasError('not-found', `there is no Atlas in ${description} yet: ConfigMap atlas-fleet is missing`, {
    hint:
      namespace === undefined
        ? 'run "atlas init" on it first'
        : `install chart atlas there, or run "atlas init --namespace ${namespace}"; --namespace and --context name another place`,
  })
}
