import {expect} from 'chai'
import {parseStack, targetsOf} from '../../src/lib/model/stack.js'

/**
 * What the templates `kube-prometheus-stack.fullname` and `.prometheus.crname` of kube-prometheus-stack 67.8.0 and rancher-monitoring
 * 103.1.1+up45.31.1, rendered by Helm 4.2.3, and the manifests of kube-prometheus and kube-thanos (Thanos 0.30.1) call the objects.
 */
const pods: readonly (readonly [stack: string, pod: string])[] = [
  ['kube-prometheus', 'prometheus-k8s-{replica}.prometheus-operated.monitoring'],
  ['kube-prometheus-stack', 'prometheus-kube-prometheus-stack-prometheus-{replica}.prometheus-operated.monitoring'],
  ['kube-prometheus-stack=mon', 'prometheus-mon-kube-prometheus-stack-prometheus-{replica}.prometheus-operated.monitoring'],
  // 26 characters, and no "-" at the end
  ['kube-prometheus-stack=mon12', 'prometheus-mon12-kube-prometheus-stac-prometheus-{replica}.prometheus-operated.monitoring'],
  ['kube-prometheus-stack=a123456789', 'prometheus-a123456789-kube-prometheus-prometheus-{replica}.prometheus-operated.monitoring'],
  ['kube-prometheus-stack=mon,fullnameOverride=prom', 'prometheus-prom-prometheus-{replica}.prometheus-operated.monitoring'],
  ['kube-prometheus-stack=mon,nameOverride=kps', 'prometheus-mon-kps-prometheus-{replica}.prometheus-operated.monitoring'],
  ['kube-prometheus-stack,cleanPrometheusOperatorObjectNames', 'prometheus-kube-prometheus-stack-{replica}.prometheus-operated.monitoring'],
  [
    'kube-prometheus-stack=mon,fullnameOverride=prom,cleanPrometheusOperatorObjectNames=true',
    'prometheus-prom-{replica}.prometheus-operated.monitoring',
  ],
  ['rancher-monitoring', 'prometheus-rancher-monitoring-prometheus-{replica}.prometheus-operated.cattle-monitoring-system'],
  ['rancher-monitoring=x', 'prometheus-x-rancher-monitoring-prometheus-{replica}.prometheus-operated.cattle-monitoring-system'],
  ['kube-thanos', 'thanos-query.thanos'],
  ['kube-thanos=obs', 'thanos-query.obs'],
]

describe('model/stack', () => {
  for (const [stack, pod] of pods)
    it(`${stack}: ${pod}`, () => {
      const {thanos, prometheus} = targetsOf(parseStack(stack))
      expect(thanos).to.deep.equal({host: `${pod}.svc.cluster.local`, port: 10_901})
      expect(prometheus.port).to.equal(9090)
      if (!stack.startsWith('kube-thanos')) expect(prometheus.host).to.equal(thanos.host)
      else expect(prometheus.host).to.equal('prometheus-k8s-{replica}.prometheus-operated.monitoring.svc.cluster.local')
    })

  it('is in the namespace and the cluster domain that are named', () => {
    const {thanos, alertmanager} = targetsOf(parseStack('rancher-monitoring', {namespace: 'm', clusterDomain: 'paris.example'}))
    expect(thanos.host).to.equal('prometheus-rancher-monitoring-prometheus-{replica}.prometheus-operated.m.svc.paris.example')
    expect(alertmanager.host).to.equal('alertmanager-operated.m.svc.paris.example')
  })

  for (const wrong of [
    'nagios',
    'kube-prometheus=x',
    'kube-prometheus,fullnameOverride=x',
    'kube-thanos=A',
    'kube-prometheus-stack=',
    'kube-prometheus-stack,other=x',
    'kube-prometheus-stack,fullnameOverride=A',
    'kube-prometheus-stack,cleanPrometheusOperatorObjectNames=maybe',
  ])
    it(`refuses ${wrong}`, () => expect(() => parseStack(wrong)).to.throw('--stack'))
})
