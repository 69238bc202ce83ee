/** What this server knows of itself and of its proxies: the answer of /status, and in a shared store the report for the other servers. */
import type {Readiness, Report} from '../../lib/model/report.js'
import {identitiesDigest} from '../../lib/pki/identities-digest.js'
import type {StateStore} from '../../lib/store/store.js'
import type {CurrentFleet} from '../fleet/current-fleet.js'
import type {Proxies} from './proxies.js'

/** The parts of the server that are asked. */
export interface ReportSources {
  readonly store: Pick<StateStore, 'description'>
  readonly fleet: CurrentFleet
  readonly proxies: Proxies
  readonly readiness: () => Readiness
  /** HOST:PORT of ADS; empty where this server does not answer it. */
  readonly address: () => string
  /** What the ports for Envoys use; undefined while they are not open. */
  readonly tls: () => Report['tls']
  readonly startedAt: Date
  /** When the clock of this server has held; undefined: it is confirmed. */
  readonly clockHeldUntil: () => Date | undefined
  readonly now: () => Date
}

/** As of now. */
export function reportOf({store, fleet, proxies, readiness, address, tls, startedAt, clockHeldUntil, now}: ReportSources): Report {
  const [inUse, heldUntil] = [tls(), clockHeldUntil()]
  return {
    format: 1,
    at: now().toISOString(),
    startedAt: startedAt.toISOString(),
    ...(heldUntil !== undefined && {clockHeldUntil: heldUntil.toISOString()}),
    address: address(),
    ...readiness(),
    ...(inUse !== undefined && {tls: {...inUse, identities: identitiesDigest(fleet.stored().identities)}}),
    store: {description: store.description, reachable: fleet.isReachable()},
    proxies: proxies.reports(),
    absent: proxies.absent(),
    withoutProxy: proxies.ownersWithout(),
    refusals: proxies.denials(),
    unrepaired: proxies.unrepaired(),
    faults: [...fleet.served().faults].map(([subject, fault]) => ({...fault, subject})),
  }
}
