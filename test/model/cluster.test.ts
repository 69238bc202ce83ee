import {expect} from 'chai'
import {
  checkCluster,
  dialledPort,
  isPending,
  parsePorts,
  parseReplicas,
  parseServiceTarget,
  renderPorts,
  replicasOf,
  requireReachableCluster,
  targetOf,
} from '../../src/lib/model/cluster.js'
import {parseAddress, parseAddresses} from '../../src/lib/model/address.js'
import {testCluster} from '../helpers/fleet.js'
import {thrownBy} from '../helpers/thrown.js'

describe('model/cluster', () => {
  it('parsePorts() reads overrides of 11901 to 11904', () => {
    const ports = parsePorts('11904=30904, 11901=30901')
    expect(renderPorts(ports)).to.equal('11901=30901,11904=30904')
    expect(dialledPort(testCluster('paris', {ports}), 11_901)).to.equal(30_901)
    expect(dialledPort(testCluster('paris', {ports}), 11_902)).to.equal(11_902)
  })

  for (const text of ['11900=1', '11901', '11901=', '11901=0', '11901=1=2', '11901=1,11901=2', 'x=1', '=1']) {
    it(`parsePorts() refuses ${text}`, () => {
      expect(thrownBy(() => parsePorts(text)).code).to.equal('invalid')
    })
  }

  it('parseReplicas() takes 1 to 1000', () => {
    expect(parseReplicas('1000')).to.equal(1000)
    for (const text of ['0', '1001', '-1', '1.5', 'two', '']) expect(thrownBy(() => parseReplicas(text)).code).to.equal('invalid')
  })

  it('parseServiceTarget() fills in {replica} to judge the address', () => {
    const target = parseServiceTarget('prometheus-k8s-{replica}.prometheus-operated.monitoring.svc:10901', '--thanos')
    expect(targetOf(target, 2)).to.deep.equal({host: 'prometheus-k8s-2.prometheus-operated.monitoring.svc', port: 10_901})
    for (const text of ['host', 'host:', ':1', 'ho st:1', '{nothing}:1', 'host:70000'])
      expect(thrownBy(() => parseServiceTarget(text, '--thanos')).code, text).to.equal('invalid')
  })

  it('parseServiceTarget() takes IPv6 addresses in brackets, names with "_", and keeps the last dot of a name', () => {
    const host = (text: string): string => targetOf(parseServiceTarget(text, '--thanos'), 2).host
    expect(host('[FD00:0::{replica}]:10901')).to.equal('fd00::2')
    expect(host('[::1]:10901')).to.equal('::1')
    expect(host('tasks.monitoring_sidecar:10901')).to.equal('tasks.monitoring_sidecar')
    expect(host('Prometheus-{replica}.example.:10901')).to.equal('prometheus-2.example.')
  })

  it('parseServiceTarget() has a hint for an address as Thanos Query has it', () => {
    const {hint} = thrownBy(() => parseServiceTarget('dnssrv+_grpc._tcp.prometheus-operated.monitoring.svc:10901', '--thanos'))
    expect(hint).to.include('write "prometheus-operated.monitoring.svc"')
  })

  it('requireReachableCluster() refuses an address or a service that no connection can be made to', () => {
    const paris = testCluster('paris')
    expect(requireReachableCluster(paris)).to.equal(paris)
    for (const cluster of [
      {...paris, addresses: parseAddresses('192.0.2.1,0.0.0.0')},
      {...paris, services: {...paris.services, prometheus: {host: '224.0.0.{replica}', port: 9090}}},
    ])
      expect(thrownBy(() => requireReachableCluster(cluster)).message).to.include('a connection can be made to')
  })

  it('requireReachableCluster() refuses more than 64 addresses', () => {
    const many = (count: number) => ({
      ...testCluster('paris'),
      addresses: Array.from({length: count}, (_, i) => parseAddress(`198.51.100.${i}`)),
    })
    expect(requireReachableCluster(many(64)).addresses).to.have.length(64)
    expect(thrownBy(() => requireReachableCluster(many(65))).message).to.equal(
      'a cluster may have at most 64 addresses; cluster "paris" has 65',
    )
  })

  it('checkCluster() refuses two replicas behind one address (D20)', () => {
    const services = testCluster('paris').services
    const cluster = testCluster('paris', {replicas: 2, services: {...services, thanos: {host: 'thanos.svc', port: 10_901}}})
    expect(thrownBy(() => checkCluster(cluster)).hint).to.contain('{replica}')
    expect(checkCluster({...cluster, replicas: 1}).replicas).to.equal(1)
  })

  it('checkCluster() refuses an address that only the first replicas can have', () => {
    const services = {...testCluster('paris').services, thanos: {host: '10.0.0.{replica}', port: 10_901}}
    expect(checkCluster(testCluster('paris', {replicas: 256, services})).replicas).to.equal(256)
    expect(thrownBy(() => checkCluster(testCluster('paris', {replicas: 257, services}))).message).to.contain('10.0.0.256')
  })

  it('a cluster without an address is pending', () => {
    expect(isPending(testCluster('paris', {addresses: []}))).to.equal(true)
    expect(isPending(testCluster('paris'))).to.equal(false)
    expect(replicasOf(testCluster('paris', {replicas: 3}))).to.deep.equal([0, 1, 2])
  })
})
