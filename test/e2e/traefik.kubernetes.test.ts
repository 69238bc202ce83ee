/**
 * A real Traefik that reads a real API server: the Ingress and the HTTPRoute of chart `atlas` lead to the pages of clusters, and the TLSRoute of
 * docs/how-to/expose.md to the Envoy of one. No kubelet runs Pods, so the Services have EndpointSlices of the test: of type FQDN, since an
 * API server accepts no loopback address in the others.
 */
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type HostPort, parseAddresses, renderHostPort} from '../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../src/lib/model/stack.js'
import {addCluster} from '../../src/lib/ops/cluster/add.js'
import {applyAll} from '../charts/support/apply.js'
import {type KubernetesObject, objectsOf} from '../charts/support/rendered.js'
import {examplesOf} from '../docs/examples.js'
import {ask, serveRecording} from '../helpers/http1.js'
import {installCrds} from '../helpers/kubernetes/crds.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {program} from '../helpers/kubernetes/programs.js'
import {ownKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {call, until} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

/** As ci/pages-values.yaml has it. */
const DOMAIN = 'web.example.com'
/** Traefik's ports: of the Ingress, of the Gateways' listeners. */
const ports = {web: 8080, gateway: 8081, tls: 8443} as const
/** Seconds. */
const LIMIT = 60
/** What the start page begins with. */
const STARTS = '<title>Atlas: 1 downstream cluster'

describe('e2e: Traefik, which reads Kubernetes', function () {
  inSteps()
  this.timeout(180_000)
  let kubernetes: Kubernetes
  let network: Network
  let namespace = ''
  let traefik = ''

  before(async () => {
    kubernetes = await ownKubernetes()
    await installCrds(kubernetes)
    namespace = await kubernetes.newNamespace('traefik')
    network = await openNetwork({clusters: ['paris'], settings: {webDomain: DOMAIN}})
    const at = {host: network.spareAddress(0), port: 9090}
    const page = await serveRecording(at, 'the page of paris')
    network.onClose(page.close)
    const request = {services: {prometheus: at}, pages: {allowLocalTargets: true}}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    traefik = network.spareAddress(0).replace(/\d+$/, '250')
    await startTraefik()
  })
  after(async () => {
    await closeNetwork(network)
    await kubernetes.cluster.end()
  })

  async function startTraefik(): Promise<void> {
    const at = (port: number): string => renderHostPort({host: traefik, port})
    const {url, kubeconfig} = kubernetes
    await applyAll(kubernetes, [
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'IngressClass',
        metadata: {name: 'traefik'},
        spec: {controller: 'traefik.io/ingress-controller'},
      },
      gatewayClass,
    ])
    await network.startProcess({
      name: 'traefik',
      program: program('traefik'),
      args: [
        ...Object.entries(ports).map(([name, port]) => `--entrypoints.${name}.address=${at(port)}`),
        ...['kubernetesingress', 'kubernetesgateway'].map(each => `--providers.${each}.endpoint=${url}`),
        '--providers.kubernetesingress.ingressclass=traefik',
        '--global.checknewversion=false',
        '--ping=true',
        '--ping.entrypoint=web',
        '--log.level=INFO',
      ],
      env: {...process.env, KUBECONFIG: kubeconfig},
      cwd: network.folder,
    })
  }

  /** What the endpointslice controller makes of a Service and its ready Pods. */
  async function endpointsOf(service: string, port: {readonly name: string} & HostPort): Promise<void> {
    // Not by kubectl, which warns of slices of this type.
    const {status, body} = await kubernetes.request('POST', `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`, {
      metadata: {name: `${service}-test`, labels: {'kubernetes.io/service-name': service}},
      addressType: 'FQDN',
      ports: [{name: port.name, port: port.port, protocol: 'TCP'}],
      endpoints: [{addresses: [port.host], conditions: {ready: true}}],
    })
    expect(status, JSON.stringify(body)).to.equal(201)
  }

  const pageBy = async (port: number, host: string): Promise<string> => (await ask({host: traefik, port}, '/', {headers: {host}})).body

  it('leads by the Ingress of chart atlas to the start page and to the pages of clusters, and nowhere else', async () => {
    const objects = await objectsOf({
      chart: 'atlas',
      ci: 'pages',
      namespace,
      set: ['ingress.tls=null', String.raw`ingress.annotations.traefik\.ingress\.kubernetes\.io/router\.entrypoints=web`],
    })
    await applyAll(
      kubernetes,
      objects.filter(({kind, metadata}) => ['HTTPRoute', 'Ingress'].includes(kind) || metadata.name === 'atlas-internal'),
    )
    await endpointsOf('atlas-internal', {name: 'pages', host: network.address, port: 10_904})
    await until(network, 'the page', async () => (await pageBy(ports.web, `paris.prom.${DOMAIN}`)) === 'the page of paris', LIMIT)
    await until(network, 'the start page', async () => (await pageBy(ports.web, DOMAIN)).includes(STARTS), LIMIT)
    expect(await pageBy(ports.web, `paris.other.${DOMAIN}`)).to.include('404 page not found')
  })

  it('leads there by the HTTPRoute of chart atlas', async () => {
    expect(await pageBy(ports.gateway, DOMAIN), 'before there is a Gateway').to.include('404 page not found')
    await applyAll(kubernetes, [gateway('web', {name: 'http', port: ports.gateway, protocol: 'HTTP'})])
    await until(network, 'the page', async () => (await pageBy(ports.gateway, `paris.prom.${DOMAIN}`)) === 'the page of paris', LIMIT)
    await until(network, 'the start page', async () => (await pageBy(ports.gateway, DOMAIN)).includes(STARTS), LIMIT)
  })

  it('leads by the TLSRoute of docs/how-to/expose.md to the Envoy of a cluster, and TLS passes through', async () => {
    const printed = examplesOf('expose.md').flatMap(block => loadAll(block) as KubernetesObject[])
    const route = printed.find(({kind}) => kind === 'TLSRoute') ?? expect.fail('no TLSRoute')
    const listener = {name: 'thanos', port: ports.tls, protocol: 'TLS', hostname: '*.downstream.atlas.internal', tls: {mode: 'Passthrough'}}
    await applyAll(kubernetes, [gateway('downstream', listener), {...route, metadata: {...route.metadata, namespace}}, serviceOfEnvoy()])
    await endpointsOf('atlas-envoy', {name: 'thanos', host: network.member('paris').address, port: 11_901})
    const request = {addresses: parseAddresses(traefik), ports: new Map([[11_901 as const, ports.tls]])}
    await addCluster(network.store, 'paris', {request, defaults: targetsOf(defaultStack)}, dependencies)
    const isLedThrough = async (): Promise<boolean> => {
      const clusters = await network.observability.page('/clusters')
      return clusters.includes(`${traefik}:${ports.tls}::health_flags::healthy`) && (await call(network, 'paris')).grpcStatus === 0
    }
    await until(network, 'a call by way of Traefik', isLedThrough, LIMIT)
  })

  const gatewayClass = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: {name: 'traefik'},
    spec: {controllerName: 'traefik.io/gateway-controller'},
  } as unknown as KubernetesObject

  const gateway = (name: string, listener: object): KubernetesObject => ({
    apiVersion: gatewayClass.apiVersion,
    kind: 'Gateway',
    metadata: {name, namespace},
    spec: {gatewayClassName: 'traefik', listeners: [listener]},
  })

  const serviceOfEnvoy = (): KubernetesObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name: 'atlas-envoy', namespace},
    spec: {clusterIP: 'None', ports: [{name: 'thanos', port: 11_901}]},
  })
})
