/** ConfigMap `atlas-thanos-endpoints`, and that of a group: the endpoints file for Thanos Query, marked with the installation that keeps it. */
import {type Endpoints, keptByAnother, mayKeep} from '../model/endpoints.js'
import {annotations} from '../model/names.js'
import {ENDPOINTS_KEY} from './endpoints.js'
import {type Target, encodeConfigMap, inNamespace} from './layout.js'
import type {Manifest} from './manifest.js'

/** @returns undefined where the object holds no endpoints file and no mark */
export function decodeEndpoints({metadata, data}: Manifest): Endpoints | undefined {
  const [text, installation] = [data?.[ENDPOINTS_KEY], metadata.annotations?.[annotations.installation]]
  if (text === undefined && installation === undefined) return undefined
  return {text: text ?? '', ...(installation !== undefined && {installation})}
}

/** @throws AtlasError `failed` where the object carries the mark of another installation */
export function encodeEndpoints({text, installation}: Endpoints, target: Target): Manifest {
  const {existing, namespace} = target
  const present = existing === undefined ? undefined : decodeEndpoints(existing)
  if (installation !== undefined && present !== undefined && !mayKeep(present, installation))
    throw keptByAnother(present, namespace, target.name)
  const manifest = inNamespace(encodeConfigMap(target, {[ENDPOINTS_KEY]: text}), target)
  if (installation === undefined) return manifest
  const {metadata} = manifest
  return {...manifest, metadata: {...metadata, annotations: {...metadata.annotations, [annotations.installation]: installation}}}
}
