/** Which generation a cluster's Envoy shows: what its record says, or while that is broken and unknown, what its certificate says. */
import {AtlasError} from '../model/errors.js'
import {type Fleet, generationOf, isBroken} from '../model/fleet.js'
import {type ClusterName, spiffe} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {readKey} from '../pki/read.js'

/**
 * A record that does not decode is no generation 1: after a restart that would pin the cluster to a name that its Envoy does not
 * carry, and cut it off (promise 6). The identity in the store is what SDS delivers there.
 */
export function shownGeneration(fleet: Fleet, {trustDomain}: Settings, name: ClusterName): number {
  if (fleet.records.has(name) || !isBroken(fleet, 'record', name)) return generationOf(fleet, name)
  const prefix = spiffe.downstream(trustDomain, name, 0).slice(0, -1)
  const shown = urisOf(fleet, name).find(uri => uri.startsWith(prefix))
  return shown === undefined || !/^[1-9]\d*$/.test(shown.slice(prefix.length))
    ? generationOf(fleet, name)
    : Number(shown.slice(prefix.length))
}

function urisOf(fleet: Fleet, name: ClusterName): readonly string[] {
  const identity = fleet.identities.get(name)
  try {
    return identity === undefined ? [] : readKey(identity).uris
  } catch (error) {
    if (error instanceof AtlasError) return []
    throw error
  }
}
