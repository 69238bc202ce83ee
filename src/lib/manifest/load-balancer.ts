/** The Service through which other clusters reach the observability Envoy: where its load balancer answers. Chart `atlas` makes it. */
import {type Address, parseAddress} from '../model/address.js'
import type {Manifest} from './manifest.js'

const LABEL = 'goatlas.io/service'

export function isExternal(manifest: Manifest): boolean {
  return manifest.kind === 'Service' && manifest.metadata.labels?.[LABEL] === 'external'
}

/** From `status.loadBalancer.ingress`: IP addresses and host names; what is neither is passed over. */
export function externalAddresses(manifest: Manifest): readonly Address[] {
  const status = manifest['status'] as {readonly loadBalancer?: {readonly ingress?: unknown}} | undefined
  const ingress = status?.loadBalancer?.ingress
  if (!Array.isArray(ingress)) return []
  return (ingress as readonly {readonly ip?: unknown; readonly hostname?: unknown}[]).flatMap(({ip, hostname}) => {
    const text = typeof ip === 'string' ? ip : hostname
    try {
      return typeof text === 'string' ? [parseAddress(text)] : []
    } catch {
      return []
    }
  })
}
