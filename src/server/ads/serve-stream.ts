/** How an ADS stream begins: admitted by its certificate and counted, or denied. Its life is in stream.ts. */
import {isIP} from 'node:net'
import type {Fleet} from '../../lib/model/fleet.js'
import {spiffe} from '../../lib/model/names.js'
import type {Variant} from '../../lib/xds/session.js'
import {type Denied, type Peer, deny} from '../mtls/denial.js'
import {type Admitted, admit} from './admission.js'
import {type AdsCall, denyCall, holdCall} from './call.js'
import {OpenStream, type StreamDependencies} from './stream.js'

/** Serves a call until it ends, or denies it. @param peer undefined: the connection has no certificate that can be read */
export function serveStream(
  call: AdsCall,
  variant: Variant,
  sequence: number,
  peer: Peer | undefined,
  dependencies: StreamDependencies,
): void {
  const xfcc = call.metadata.get('x-forwarded-client-cert').map(String)
  const judge = (fleet: Fleet): Admitted | Denied => admit(fleet, peer, xfcc, dependencies.now())
  const from = clientOf(call, peer, dependencies.fleet())
  const outcome = count(judge(dependencies.fleet()), dependencies)
  if (outcome.kind === 'denied') {
    dependencies.denied(outcome, from)
    holdCall(call)
    dependencies.refusals.answer(outcome, dependencies.steady(), () => {
      denyCall(call, outcome, dependencies.times.resetAfterMs)
    })
    return
  }

  const stream = new OpenStream(call, {variant, sequence, peer: from, admitted: outcome, admit: judge}, dependencies)
  stream.begin()
}

/** The client's address; of a relayed stream the one that the observability Envoy has seen, and the Envoy's own. */
function clientOf(call: AdsCall, peer: Peer | undefined, {settings}: Fleet): string {
  const direct = call.getPeer()
  if (settings === undefined || peer?.uris[0] !== spiffe.observability(settings.trustDomain)) return direct
  // An Envoy adds the address of its client behind those that the client claims.
  const seen = call.metadata.get('x-forwarded-for').map(String).join(',').split(',').at(-1)?.trim() ?? ''
  return isIP(seen) === 0 ? direct : `${seen} through ${direct}`
}

/** An admitted stream counts among its cluster's until it is closed. */
function count(outcome: Admitted | Denied, {limiter, steady}: Pick<StreamDependencies, 'limiter' | 'steady'>): Admitted | Denied {
  if (outcome.kind === 'denied' || limiter.open(outcome.cluster, steady())) return outcome
  const {cluster} = outcome
  return deny('streams', `cluster "${cluster}" has as many open streams as it may, or opens them too fast`, cluster)
}
