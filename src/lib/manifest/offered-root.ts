/** A Secret that offers a root, as cert-manager writes it: with label goatlas.io/authority. It is read and never written. */
import {type OfferedRoot} from '../model/authority.js'
import {annotations, labels} from '../model/names.js'
import type {Manifest} from './manifest.js'
import {secretText} from './manifest.js'
import {decodeServer, tlsKeys} from './secrets.js'

export function isOfferedRoot({kind, metadata}: Manifest): boolean {
  return kind === 'Secret' && metadata.labels?.[labels.authority] === 'root'
}

/** @throws AtlasError `invalid` unless certificate and key decode and belong together */
export function decodeOfferedRoot(manifest: Manifest): OfferedRoot {
  const above = secretText(manifest, tlsKeys.roots)
  return {
    ...decodeServer(manifest),
    ...(above !== undefined && above.trim() !== '' && {above}),
    anyAge: manifest.metadata.annotations?.[annotations.anyAge] === 'true',
  }
}
