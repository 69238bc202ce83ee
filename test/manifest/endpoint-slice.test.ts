/** Alertmanagers out of EndpointSlices as the Prometheus operator, kube-prometheus-stack and other charts have them. */
import {expect} from 'chai'
import {type EndpointSlice, decodeAlertmanagers} from '../../src/lib/manifest/endpoint-slice.js'

const pod = (name: string, address: string, hostname?: string) => ({
  addresses: [address],
  ...(hostname !== undefined && {hostname}),
  targetRef: {kind: 'Pod', name},
})

function slice(endpoints: NonNullable<EndpointSlice['endpoints']> | null, more: Partial<EndpointSlice> = {}): EndpointSlice {
  const labels = {'kubernetes.io/service-name': 'alertmanager-operated'}
  return {
    metadata: {name: 'alertmanager-operated-x', namespace: 'monitoring', labels},
    addressType: 'IPv4',
    endpoints,
    ports: [
      {name: 'tcp-mesh', port: 9094, protocol: 'TCP'},
      {name: 'web', port: 9093, protocol: 'TCP'},
      {name: 'udp-mesh', port: 9094, protocol: 'UDP'},
    ],
    ...more,
  }
}

const found = (...slices: readonly EndpointSlice[]) => decodeAlertmanagers(slices, 'cluster.local')
const host = (name: string) => `${name}.alertmanager-operated.monitoring.svc.cluster.local`

describe('manifest/endpoint-slice', () => {
  it('D14: each Alertmanager has a name and an address of its own, sorted by name', () => {
    const slices = [slice([pod('am-1', '10.0.0.2', 'am-1'), pod('am-0', '10.0.0.1', 'am-0')])]
    expect(found(...slices)).to.deep.equal({
      alertmanagers: [
        {name: 'am-0', host: host('am-0'), port: 9093},
        {name: 'am-1', host: host('am-1'), port: 9093},
      ],
      problems: [],
    })
  })

  it('a pod without a host name has its IP address, and the port named http-web, or the only one', () => {
    const labels = {'kubernetes.io/service-name': 'stack-alertmanager'}
    const metadata = {name: 'stack-alertmanager-x', namespace: 'monitoring', labels}
    const ports = [
      {name: 'http-web', port: 9093},
      {name: 'reloader-web', port: 8080},
    ]
    expect(found(slice([pod('am-0', '10.0.0.1')], {metadata, ports})).alertmanagers).to.deep.equal([
      {name: 'am-0', host: '10.0.0.1', port: 9093},
    ])
    expect(found(slice([pod('am-0', '10.0.0.1')], {metadata, ports: [{port: 9095}]})).alertmanagers).to.deep.equal([
      {name: 'am-0', host: '10.0.0.1', port: 9095},
    ])
  })

  it('a pod of several Services and IP families is one Alertmanager: its host name counts, then IPv4', () => {
    const named = slice([pod('am-0', '10.0.0.1', 'am-0')])
    const plain = slice([pod('am-0', '10.0.0.1')], {metadata: {...named.metadata, name: 'a', labels: {}}})
    const six = slice([pod('am-0', 'fd00::1')], {metadata: {...named.metadata, name: '6'}, addressType: 'IPv6'})
    expect(found(six, plain, named).alertmanagers).to.deep.equal([{name: 'am-0', host: host('am-0'), port: 9093}])
    expect(found(six, plain).alertmanagers).to.deep.equal([{name: 'am-0', host: '10.0.0.1', port: 9093}])
  })

  it('an endpoint counts whether its pod is ready or not', () => {
    const conditions = {ready: false, serving: false, terminating: true}
    expect(found(slice([{...pod('am-0', '10.0.0.1', 'am-0'), ...{conditions}}])).alertmanagers).to.have.length(1)
  })

  it('what can not be used is left out and named', () => {
    const ports = [
      {name: 'a', port: 1},
      {name: 'b', port: 2},
    ]
    expect(found(slice([pod('am-0', '10.0.0.1')], {ports}))).to.deep.equal({
      alertmanagers: [],
      problems: [
        'EndpointSlice "alertmanager-operated-x" has several ports, and none is named web, http-web, http: its Alertmanagers are left out',
      ],
    })
    const {alertmanagers, problems} = found(
      slice([pod('a.b', '10.0.0.1'), {addresses: ['10.0.0.2']}, {addresses: []}, pod('am-0', '10.0.0.3')]),
    )
    expect(alertmanagers.map(({name}) => name)).to.deep.equal(['am-0'])
    expect(problems).to.deep.equal([
      'an endpoint of EndpointSlice "alertmanager-operated-x" has no pod whose name is a DNS label, and no host name: it is left out',
    ])
    expect(found(slice(null), slice([], {ports: null})).problems).to.deep.equal([])
  })
})
