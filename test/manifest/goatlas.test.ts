import {expect} from 'chai'
import {encodeOnto} from '../../src/lib/manifest/encode.js'
import {type Manifest, parseManifest} from '../../src/lib/manifest/manifest.js'
import {decodeRegistration} from '../../src/lib/manifest/registration.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {testCluster} from '../helpers/fleet.js'
import {thrownBy} from '../helpers/thrown.js'

const service = (labels: Readonly<Record<string, string>>): Manifest =>
  parseManifest({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name: 'paris', namespace: 'monitoring', labels},
    spec: {clusterIP: 'None', externalIPs: ['198.51.100.4'], selector: {app: 'envoy'}},
  })

const registered = (existing: Manifest): Manifest | undefined =>
  encodeOnto(existing, {kind: 'registration', name: parseClusterName('paris'), value: testCluster('paris')}, 'atlas')

describe('manifest/registration of Services that others made', () => {
  it('as the 2021 program left them are read with its ways: any value of the label, externalIPs, replicas that are no number', () => {
    const cluster = decodeRegistration(service({'goatlas.io/cluster': 'whatever', 'goatlas.io/replicas': 'two'}))
    expect(cluster.name).to.equal('paris')
    expect(cluster.addresses.map(address => address.host)).to.deep.equal(['198.51.100.4'])
    expect(cluster.replicas).to.equal(1)
    expect(cluster.remarks).to.equal(undefined)
    expect(cluster.remarksOf2021).to.deep.equal([
      'label "goatlas.io/replicas" has no effect, and the cluster counts as one replica: replicas must be a whole number from 1 to 1000; got "two"',
    ])
  })

  it('as a person wrote them for Atlas are read strictly, with or without labels that Atlas writes', () => {
    for (const noted of [
      {'goatlas.io/addresses': '198.51.100.4'},
      {'target.goatlas.io/ruler': 'ruler:10901'},
      {'goatlas.io/adresses': 'x'},
    ]) {
      const written = service({'goatlas.io/cluster': 'paris', 'goatlas.io/replicas': '2x'})
      const error = thrownBy(() => decodeRegistration({...written, metadata: {...written.metadata, annotations: noted}}))
      expect(error.message, JSON.stringify(noted)).to.contain('replicas must be').and.to.contain('"2x"')
    }
  })

  it('have no effect by the selector of the 2021 program, readable or not', () => {
    for (const [selectors, own] of [
      ['{"app": [', {}],
      ['app=envoy', {'goatlas.io/format': '1'}],
    ] as const) {
      const written = service({'goatlas.io/cluster': 'paris', ...own})
      const noted = {'goatlas.io/envoy-selectors': selectors}
      const cluster = decodeRegistration({...written, metadata: {...written.metadata, annotations: noted}})
      expect(cluster.remarksOf2021).to.deep.equal(['annotation "goatlas.io/envoy-selectors" has no effect: only the 2021 program read it'])
    }
  })

  it('once Atlas has written them, replicas that are no number are a fault: a slip must not take a replica away', () => {
    for (const own of [{'goatlas.io/format': '1'}, {'app.kubernetes.io/managed-by': 'atlas'}]) {
      const broken = service({'goatlas.io/cluster': 'paris', 'goatlas.io/replicas': 'two', ...own})
      expect(thrownBy(() => decodeRegistration(broken)).message)
        .to.contain('replicas must be')
        .and.to.contain('"two"')
    }
  })

  it('that register no cluster are not taken over', () => {
    const error = thrownBy(() => registered(service({app: 'grafana'})))
    expect(error.code).to.equal('failed')
    expect(error.message).to.contain('Service "paris" is there already')
    expect(error.hint).to.contain('goatlas.io/cluster')
  })

  it('that register one, or did before their label was removed, are brought to what is wanted; the rest of them stays', () => {
    for (const own of [{'goatlas.io/cluster': ''}, {'app.kubernetes.io/managed-by': 'atlas'}]) {
      const after = registered(service({team: 'metrics', ...own}))
      expect(after?.metadata.labels).to.include({team: 'metrics', 'goatlas.io/cluster': 'paris', 'goatlas.io/format': '1'})
      expect(after?.metadata.namespace).to.equal('monitoring')
      expect(after?.spec).to.deep.equal(service({}).spec)
      expect(after === undefined ? undefined : decodeRegistration(after)).to.deep.equal(testCluster('paris'))
    }
  })

  it('that k3s or Fleet deploy keep the marks by which those know them', () => {
    const marks = {'objectset.rio.cattle.io/owner-gvk': 'k3s.cattle.io/v1, Kind=Addon', 'objectset.rio.cattle.io/id': ''}
    const existing = service({'goatlas.io/cluster': '', 'objectset.rio.cattle.io/hash': '5a1c'})
    const after = registered({...existing, metadata: {...existing.metadata, annotations: marks}})
    expect(after?.metadata.annotations).to.include(marks)
    expect(after?.metadata.labels).to.include({'objectset.rio.cattle.io/hash': '5a1c', 'goatlas.io/cluster': 'paris'})
  })
})
