/** The one error of everybody who finds no Atlas where a store should be. */
import {AtlasError} from '../model/errors.js'
import type {StateStore} from './store.js'

/** @returns AtlasError `not-found` that says where was looked, and what to do there */
export function notInitialised({description, kubernetes}: Pick<StateStore, 'description' | 'kubernetes'>): AtlasError {
  return new AtlasError('not-found', `there is no Atlas in ${description} yet: ConfigMap atlas-fleet is missing`, {
    hint:
      kubernetes === undefined
        ? 'run "atlas init" on it first'
        : `install chart atlas there, or run "atlas init --namespace ${kubernetes.namespace}"; --namespace and --context name another place`,
  })
}
