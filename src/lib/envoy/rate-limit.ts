/**
 * How many streams each client certificate may open on 10900, and how many requests it may make on 10903. Envoy limits neither bytes nor
 * connections per client.
 */
import {create} from '@bufbuild/protobuf'
import {LocalRateLimitSchema} from '../../gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js'
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {DescriptorSchema} from '../../gen/envoy/extensions/rate_limit_descriptors/expr/v3/expr_pb.js'
import {FractionalPercentSchema} from '../../gen/envoy/type/v3/percent_pb.js'
import {duration, extension} from './core.js'

/** Openings at once, and per second after that; Envoy answers further ones itself. 64 Envoys of one cluster may reconnect at once, four times. */
const BURST = 256
const PER_SECOND = 4

/**
 * Certificates counted apart. Beyond this number Envoy counts none of the new ones, and its default is 20; so it is far above the
 * largest fleet, of which each cluster has one name, or two while a credential is replaced.
 */
const MAX_PEERS = 65_536

/**
 * A bucket for each name in a client's verified certificate, on all of its connections together. The filter comes before those that
 * refuse a name: a removed cluster that goes on asking is slowed as well.
 */
export function streamOpenings(statPrefix: string): HttpFilter {
  return perPeer(statPrefix, {burst: BURST, perSecond: PER_SECOND})
}

/** Requests with alerts. A Prometheus sends 64 alerts in each, and again after a minute. */
export function alertRequests(statPrefix: string): HttpFilter {
  return perPeer(statPrefix, {burst: 100, perSecond: 20})
}

function perPeer(statPrefix: string, {burst, perSecond}: {readonly burst: number; readonly perSecond: number}): HttpFilter {
  const all = {defaultValue: create(FractionalPercentSchema, {numerator: 100})}
  const bucket = {maxTokens: burst, tokensPerFill: perSecond, fillInterval: duration(1)}
  const byPeer = extension('envoy.rate_limit_descriptors.expr', DescriptorSchema, {
    descriptorKey: PEER,
    exprSpecifier: {case: 'text', value: 'connection.uri_san_peer_certificate'},
  })
  return create(
    HttpFilterSchema,
    extension('envoy.filters.http.local_ratelimit', LocalRateLimitSchema, {
      statPrefix,
      filterEnabled: all,
      filterEnforced: all,
      rateLimits: [{actions: [{actionSpecifier: {case: 'extension', value: {name: byPeer.name, typedConfig: byPeer.configType.value}}}]}],
      // An entry without a value stands for any value, and each value has its own bucket.
      descriptors: [{entries: [{key: PEER}], tokenBucket: bucket}],
      maxDynamicDescriptors: MAX_PEERS,
      alwaysConsumeDefaultTokenBucket: false,
      rateLimitedAsResourceExhausted: true, // the access log leaves this status out
    }),
  )
}

const PEER = 'peer'
