import {create, fromBinary, toBinary} from '@bufbuild/protobuf'
import {expect} from 'chai'
import fc from 'fast-check'
import {DeltaDiscoveryRequestSchema, DiscoveryRequestSchema} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {describeSession, type Input, openSession, step, unacknowledged, type Variant} from '../../src/lib/xds/session.js'
import {summarizeSession} from '../../src/lib/xds/describe.js'
import {resourcesOf} from '../../src/lib/xds/snapshot.js'
import {pushOrder, typeUrls} from '../../src/lib/xds/type-url.js'
import {snapshotOf} from './stream.js'

const snapshot = snapshotOf({cluster: {a: '1', b: '1'}, secret: {s: '1'}, listener: {l: '1'}, scope: {a: '1'}, route: {r: '1'}})

/** Requests of an arbitrary client: known and unknown types, odd names, nonces that were and were not given, with and without a NACK. */
const name = fc.oneof(fc.constantFrom('a', 'b', 's', 'l', 'r', '*', '', '__proto__', 'constructor', 'toString'), fc.string({maxLength: 20}))
const names = fc.array(name, {maxLength: 6})
const nonce = fc.oneof(
  fc.nat({max: 12}).map(String),
  fc.constantFrom('', '-1', '1e0', ' 1', '0x1', 'NaN', 'Infinity'),
  fc.string({maxLength: 5}),
)
const node = {id: 'envoy-0', cluster: 'paris'}
const said = fc.record({
  typeUrl: fc.oneof({weight: 9, arbitrary: fc.constantFrom(...pushOrder)}, {weight: 1, arbitrary: fc.string({minLength: 1, maxLength: 9})}),
  node: fc.constantFrom(undefined, node),
  subscribe: names,
  unsubscribe: names,
  initial: fc.dictionary(name, fc.oneof(fc.constantFrom('1', ''), fc.string({maxLength: 4}))),
  nonce,
  error: fc.option(fc.string({maxLength: 30}), {nil: undefined}),
})
type Said = typeof said extends fc.Arbitrary<infer Value> ? Value : never

const act = fc.oneof(
  {weight: 8, arbitrary: said},
  {weight: 4, arbitrary: fc.constantFrom('wake' as const, 'writable' as const)},
  {weight: 1, arbitrary: fc.constantFrom('empty' as const, 'full' as const)},
)

/** The request as it comes over the wire. */
function inputOf(variant: Variant, done: Said | 'empty' | 'full' | 'wake' | 'writable'): Input {
  if (done === 'wake' || done === 'writable') return {kind: done}
  if (done === 'empty' || done === 'full') return {kind: 'snapshot', snapshot: done === 'full' ? snapshot : new Map()}
  const errorDetail = done.error === undefined ? {} : {errorDetail: {code: 13, message: done.error}}
  const common = {typeUrl: done.typeUrl, responseNonce: done.nonce, ...(done.node === undefined ? {} : {node: done.node}), ...errorDetail}
  if (variant === 'sotw') {
    const bytes = toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, {...common, resourceNames: done.subscribe}))
    return {kind: 'request', request: fromBinary(DiscoveryRequestSchema, bytes)}
  }

  const request = create(DeltaDiscoveryRequestSchema, {
    ...common,
    resourceNamesSubscribe: done.subscribe,
    resourceNamesUnsubscribe: done.unsubscribe,
    initialResourceVersions: done.initial,
  })
  return {kind: 'request', request: fromBinary(DeltaDiscoveryRequestSchema, toBinary(DeltaDiscoveryRequestSchema, request))}
}

describe('xds/session fuzz', () => {
  for (const variant of ['delta', 'sotw'] as const)
    it(`${variant}: for arbitrary requests nothing is thrown, and nothing is sent that is not in a snapshot`, function () {
      this.timeout(120_000)
      fc.assert(
        fc.property(fc.array(act, {maxLength: 40, size: 'max'}), acts => {
          let session = openSession(variant)
          let unwritten = false
          acts.forEach((done, index) => {
            const result = step(session, inputOf(variant, done), new Date(index * 2000))
            session = result.session
            if (result.wakeAt !== undefined) expect(result.wakeAt.getTime(), 'a time to come').to.be.greaterThan(index * 2000)
            if (done === 'writable') unwritten = false
            if (result.close !== undefined) expect(result.close.message).to.not.equal('')
            if (result.send !== undefined) {
              expect(unwritten, 'a second unwritten response').to.equal(false)
              unwritten = true
              expect(result.send.nonce).to.match(/^[1-9]\d*$/)
              const known = resourcesOf(snapshot, result.send.typeUrl)
              if (result.send.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryResponse') {
                const sent = result.send.resources.map(resource => resource.name)
                const all = [...sent, ...result.send.removedResources]
                expect(new Set(all).size, 'a name twice').to.equal(all.length)
                for (const resource of sent) expect(known.has(resource)).to.equal(true)
              }

              expect(result.send.resources.length).to.be.at.most(known.size)
              if (variant === 'sotw' && result.send.typeUrl === typeUrls.secret) expect(result.send.resources).to.not.have.length(0)
            }

            const described = describeSession(session).map(({typeUrl, state, nack, nackNames, sent, acked}) => {
              const acknowledged = [...sent].filter(([name, version]) => version !== '' && acked.get(name) === version).length
              return {typeUrl, state, nack, nackNames, sent: sent.size, acknowledged}
            })
            const summary = summarizeSession(session).map(type => ({nack: undefined, nackNames: undefined, ...type}))
            expect(summary).to.deep.equal(described)
            unacknowledged(session)
          })
        }),
        {numRuns: 500},
      )
    })
})
