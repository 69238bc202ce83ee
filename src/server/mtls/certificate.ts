/** The certificate and trust of the server's ports for Envoys, which follow the fleet without a restart. What they are made of is in context.ts. */
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import type {Report} from '../../lib/model/report.js'
import {trustDigest} from '../../lib/pki/trust-digest.js'
import type {FleetObserver} from '../fleet/current-fleet.js'
import type {Log} from '../log.js'
import {type ServerTls, type TlsMaterial, buildServerTls, materialOf, sameMaterial} from './context.js'
import type {MtlsListener} from './listener.js'

export interface ServerCertificate extends FleetObserver {
  /** When the certificate in use ends; undefined while there is none. */
  readonly end: () => Date | undefined
  /** What is in use, as servers report it; undefined before the first certificate. */
  readonly inUse: () => Report['tls']
  /** Why the newest certificate or trust is not in use, or no client accepts it. */
  readonly problem: () => string | undefined
}

/** Where the newest certificate or trust can't be used, the ones before stay in use. @param listeners the ports that show it */
export function openServerCertificate(
  listeners: readonly Pick<MtlsListener, 'use'>[],
  {now, log}: {readonly now: () => Date; readonly log: Log},
): ServerCertificate {
  let material: TlsMaterial | undefined
  let tls: ServerTls | undefined
  let inUse: Report['tls']
  let problem: string | undefined
  const hasEnded = (): boolean => tls !== undefined && tls.notAfter <= now()

  function follow(fleet: Fleet): void {
    const next = materialOf(fleet)
    if (next === undefined || sameMaterial(material, next)) return
    material = next
    try {
      tls = buildServerTls(next)
      for (const listener of listeners) listener.use(tls)
      inUse = {certificate: tls.fingerprint, trust: fleet.trust === undefined ? '' : trustDigest(fleet.trust)}
      problem = undefined
      const fields = {notAfter: tls.notAfter.toISOString(), anchors: next.anchors.length}
      if (hasEnded()) log.error('the certificate in use has ended; clients refuse it until a new one is issued', fields)
      else log.info('certificate and trust in use', fields)
    } catch (error) {
      problem = messageOf(error)
      log.error('can not use the new certificate or trust; the ones before stay in use', {error: problem})
    }
  }

  return {
    started: follow,
    changed({after}) {
      follow(after)
    },
    end: () => tls?.notAfter,
    inUse: () => inUse,
    problem: () =>
      problem ??
      (hasEnded() ? `the certificate of this server ended on ${tls?.notAfter.toISOString() ?? ''}; Envoys refuse it` : undefined),
  }
}
