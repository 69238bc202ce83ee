/**
 * A real Envoy Gateway that reads a real API server, in front of everything that other clusters and people reach: by the routes of
 * docs/how-to/expose.md and of chart `atlas`. envoy-gateway-probe.ts plays it. Here, since the program takes minutes to build.
 */
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import type {KubernetesObject} from '../charts/support/rendered.js'
import {examplesOf} from '../docs/examples.js'
import {runInOwnNetwork} from '../helpers/own-network.js'
import type {Given, Seen} from './envoy-gateway-probe.js'

const probe = fileURLToPath(new URL('envoy-gateway-probe.ts', import.meta.url))

describe('e2e: Envoy Gateway, which reads Kubernetes', function () {
  this.timeout(600_000)
  let seen: readonly Seen[] = []

  before(async () => {
    const examples = examplesOf('expose.md').filter(block => block.includes('gateway.networking.k8s.io/'))
    const given: Given = {printed: examples.flatMap(block => loadAll(block) as KubernetesObject[])}
    seen = await runInOwnNetwork<Seen>(probe, JSON.stringify(given), {resolver: '127.0.0.1'})
  })

  const at = <Step extends Seen['step']>(step: Step): Seen & {readonly step: Step} =>
    (seen.find(each => each.step === step) as (Seen & {readonly step: Step}) | undefined) ?? expect.fail(`nothing of ${step}`)

  it('leads by a TCPRoute of docs/how-to/expose.md the Envoy of a cluster to its configuration', () => {
    expect(at('configuration').state).to.equal('synced')
  })

  it('leads by the other TCPRoute its alerts to the Alertmanager, and mutual TLS passes through: the sender is known', () => {
    const {sender, path} = at('alert')
    expect({sender, path}).to.deep.equal({sender: 'spiffe://atlas.internal/downstream/paris/1', path: '/api/v2/alerts'})
  })

  it('leads by the TLSRoute of that page gRPC calls to the Envoy of a cluster', () => {
    expect(at('call').grpcStatus).to.equal(0)
  })

  it('leads by the HTTPRoute of chart atlas to the start page, and by a second TLSRoute on to the page of a cluster, and nowhere else', () => {
    const {page, start, elsewhere} = at('page')
    expect({page, elsewhere}).to.deep.equal({page: 'the page of paris', elsewhere: 404})
    expect(start).to.include('<title>Atlas: 1 downstream cluster')
  })

  it('waits for a page longer than the 15 s that it waits without a timeout in the HTTPRoute', () => {
    expect(at('page').slow).to.equal(200)
  })
})
