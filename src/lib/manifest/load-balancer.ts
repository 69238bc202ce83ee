/** The Service through which other clusters reach the observability Envoy: the addresses of its load balancer. Chart `atlas` makes it. */
import {type Address, parseAddress} from '../model/address.js'
import {labels} from '../model/names.js'
import type {Manifest} from './manifest.js'

export function isExternal(manifest: Manifest): boolean {
  return manifest.kind === 'Service' && manifest.metadata.labels?.[labels.service] === 'external'
}

/** From `status.loadBalancer.ingress`: IP addresses and host names; any other entry is passed over. */
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
