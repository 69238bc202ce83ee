import {expect} from 'chai'
import {type Manifest, parseManifest} from '../../src/lib/manifest/manifest.js'
import {decodeRegistration, encodeRegistration} from '../../src/lib/manifest/registration.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {thanosEndpointsOf} from '../../src/lib/model/thanos-target.js'
import {findingsOf} from '../../src/lib/ops/findings.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'

const registration = (noted: Readonly<Record<string, string>>, name = 'paris', own: Readonly<Record<string, string>> = {}): Manifest =>
  parseManifest({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {name, labels: {'goatlas.io/cluster': name, ...own}, annotations: {'goatlas.io/addresses': '198.51.100.4', ...noted}},
  })

describe('manifest: named targets of a registration', () => {
  it('have a name of their own for each replica', () => {
    const cluster = decodeRegistration(
      registration({
        'target.goatlas.io/ruler': 'thanos-ruler.monitoring.svc:10901',
        'target.goatlas.io/store-1': 'store-{replica}.x:10901',
        'target.goatlas.io/store-1.replicas': '2',
        'target.goatlas.io/store-1.health': 'tcp',
      }),
    )
    expect(cluster.remarks).to.equal(undefined)
    expect(thanosEndpointsOf(cluster).map(({name, at}) => `${name} ${at.host}:${at.port}`)).to.deep.equal(
      [
        'paris-thanos-sidecar0 prometheus-operated.monitoring.svc.cluster.local:10901',
        'paris-thanos-sidecar-ruler-0 thanos-ruler.monitoring.svc:10901',
        'paris-thanos-sidecar-store-1-0 store-0.x:10901',
        'paris-thanos-sidecar-store-1-1 store-1.x:10901',
      ].map(text =>
        text.replace('prometheus-operated.monitoring.svc.cluster.local', cluster.services.thanos.host.replace('{replica}', '0')),
      ),
    )
    const again = encodeRegistration(
      registration({'target.goatlas.io/gone': 'x:1', 'target.goatlas.io/gone.replicas': '1'}),
      cluster,
      'atlas',
    )
    expect(Object.keys(again.metadata.annotations ?? {}).filter(key => key.startsWith('target.'))).to.have.members([
      'target.goatlas.io/ruler',
      'target.goatlas.io/store-1',
      'target.goatlas.io/store-1.replicas',
      'target.goatlas.io/store-1.health',
    ])
    expect(decodeRegistration(again).targets).to.deep.equal(cluster.targets)
  })

  it('are reached with TLS where the registration says so, each for itself; what can not be read costs the others nothing', () => {
    const noted = {'goatlas.io/thanos-tls': 'openshift:prometheus-grpc', 'target.goatlas.io/a': 'a:1', 'target.goatlas.io/b': 'b:1'}
    const cluster = decodeRegistration(registration({...noted, 'target.goatlas.io/a.tls': 'internal', 'target.goatlas.io/b.tls': '../x'}))
    expect(thanosEndpointsOf(cluster).map(({target, tls}) => [target, tls])).to.deep.equal([
      [undefined, {certificates: 'openshift', serverName: 'prometheus-grpc'}],
      ['a', {certificates: 'internal'}],
    ])
    expect(cluster.remarks).to.have.length(1)
    expect(cluster.remarks?.[0]).to.match(/"target.goatlas.io\/b" has no effect: the TLS of target b must be NAME or NAME:SERVERNAME/)
    const again = encodeRegistration(registration({...noted, 'target.goatlas.io/a.tls': 'old'}), {...cluster, targets: new Map()}, 'atlas')
    expect(again.metadata.annotations).to.include({'goatlas.io/thanos-tls': 'openshift:prometheus-grpc'})
    expect(again.metadata.annotations).not.to.include.keys('target.goatlas.io/a', 'target.goatlas.io/a.tls')
    for (const wrong of ['', 'A', '-', 'a:', 'a:1.2.3.4', 'a:b:c', 'a'.repeat(21)])
      expect(() => decodeRegistration(registration({'goatlas.io/thanos-tls': wrong})), wrong).to.throw('a Thanos endpoint must be')
  })

  it("are checked by gRPC's health service, or by TCP where the registration says so, each for itself", () => {
    const noted = {'goatlas.io/thanos-health': 'tcp', 'target.goatlas.io/a': 'a:1', 'target.goatlas.io/b': 'b:1'}
    const cluster = decodeRegistration(registration({...noted, 'target.goatlas.io/a.health': 'tcp'}))
    expect(cluster.remarks).to.equal(undefined)
    expect(thanosEndpointsOf(cluster).map(({target, health}) => [target, health])).to.deep.equal([
      [undefined, 'tcp'],
      ['a', 'tcp'],
      ['b', 'grpc'],
    ])
    const fault = 'the health check of a Thanos endpoint must be one of grpc, tcp; got "no"'
    expect(() => decodeRegistration(registration({'goatlas.io/thanos-health': 'no'}))).to.throw(fault)
  })

  it('that break a rule are remarks, and cost the others nothing', () => {
    const long = 'a'.repeat(30)
    const cases: readonly [Readonly<Record<string, string>>, RegExp, string?][] = [
      [{'target.goatlas.io/Ruler': 'x:1'}, /"target.goatlas.io\/Ruler" has no effect: the name of a target must be/],
      [{[`target.goatlas.io/${'a'.repeat(21)}`]: 'x:1'}, /at most 20 lower-case letters/],
      [{'target.goatlas.io/a-thanos-sidecar': 'x:1'}, /the name of a target must be another one/],
      [{[`target.goatlas.io/${'b'.repeat(14)}`]: 'x:1'}, /at most 13 characters long in cluster/, long],
      [{'target.goatlas.io/ruler2': 'no-port'}, /HOST:PORT/],
      [{'target.goatlas.io/ruler2': 'x:1', 'target.goatlas.io/ruler2.replicas': '2'}, /2 replicas, but the address "x" is the same/],
      [{'target.goatlas.io/ruler2': 'x:1', 'target.goatlas.io/ruler2.replicas': 'many'}, /a whole number/],
      [{'target.goatlas.io/ruler2': 'x:1', 'target.goatlas.io/ruler2.health': 'http'}, /must be one of grpc, tcp; got "http"/],
    ]
    for (const [noted, why, name = 'paris'] of cases) {
      const {targets, remarks} = decodeRegistration(registration({...noted, 'target.goatlas.io/ruler': 'ruler:10901'}, name))
      expect([...targets.keys()], JSON.stringify(noted)).to.deep.equal(['ruler'])
      expect(remarks).to.have.length(1)
      expect(remarks?.[0]).to.match(why)
    }
  })

  it('whose replicas or health stand there without the target are remarks, with the nearest target that is there', () => {
    const {targets, remarks} = decodeRegistration(
      registration({
        'target.goatlas.io/ruler': 'ruler-{replica}:10901',
        'target.goatlas.io/rulers.replicas': '2',
        'target.goatlas.io/something-else.health': 'tcp',
      }),
    )
    expect(targets.get('ruler')?.replicas).to.equal(1)
    expect(remarks).to.deep.equal([
      'annotation "target.goatlas.io/rulers.replicas" has no effect: there is no annotation "target.goatlas.io/rulers"; did you mean "target.goatlas.io/ruler.replicas"?',
      'annotation "target.goatlas.io/something-else.health" has no effect: there is no annotation "target.goatlas.io/something-else"',
    ])
    const many = registration(Object.fromEntries(Array.from({length: 5000}, (_, index) => [`target.goatlas.io/x${index}.replicas`, '2'])))
    expect(decodeRegistration(many).remarks).to.have.length(65)
  })

  it('are 32 at most: the 33rd is one remark, and costs the 32 others, the sidecars and the groups nothing', () => {
    const names = Array.from({length: 33}, (_, index) => `t${String(index).padStart(2, '0')}`)
    const noted = Object.fromEntries(names.map(name => [`target.goatlas.io/${name}`, `${name}.x:10901`]))
    const cluster = decodeRegistration(registration(noted, 'paris', {'group.goatlas.io/europe': ''}))
    expect([...cluster.targets.keys()]).to.deep.equal(names.slice(0, 32))
    expect(thanosEndpointsOf(cluster)).to.have.length(33)
    expect(cluster.groups).to.deep.equal(['europe'])
    expect(cluster.remarks).to.deep.equal(['annotation "target.goatlas.io/t32" has no effect: a cluster may have at most 32 targets'])
    const fleet = testFleet(testDependencies(), ['paris'])
    const findings = findingsOf({...fleet, registrations: new Map([[cluster.name, {...cluster, groups: []}]])}, [], new Date(0))
    expect(findings.filter(({kind}) => kind === 'registration').map(({message}) => message)).to.have.length(1)
  })

  it('have 1,000 endpoints at most together with the sidecars, and 64 of them are read', () => {
    const noted = Object.fromEntries(
      ['a', 'b'].flatMap(name => [
        [`target.goatlas.io/${name}`, `${name}-{replica}:1`],
        [`target.goatlas.io/${name}.replicas`, '999'],
      ]),
    )
    const {targets, remarks} = decodeRegistration(registration(noted))
    expect([...targets.keys()]).to.deep.equal(['a'])
    expect(remarks).to.deep.equal(['annotation "target.goatlas.io/b" has no effect: a cluster may have at most 1000 endpoints'])
    for (const prefix of ['target.goatlas.io/X', 'goatlas.io/x']) {
      const many = decodeRegistration(registration(Object.fromEntries(Array.from({length: 5000}, (_, index) => [`${prefix}${index}`, '']))))
      expect(many.remarks).to.have.length(65)
      expect(many.remarks?.at(-1)).to.match(/4936 more have no effect/)
    }
  })

  it('may stand instead of sidecars', () => {
    const noted = {'target.goatlas.io/query': 'thanos-query.monitoring.svc:10901'}
    const cluster = decodeRegistration(registration(noted, 'paris', {'goatlas.io/replicas': '0'}))
    expect(thanosEndpointsOf(cluster).map(({name}) => name)).to.deep.equal(['paris-thanos-sidecar-query-0'])
    expect(() => decodeRegistration(registration({}, 'paris', {'goatlas.io/replicas': '0'}))).to.throw(
      'neither a replica nor a named target',
    )
  })

  it('of a name that is long with that of its cluster have a Service name of 63 characters at most', () => {
    const name = 'c'.repeat(23)
    const cluster = decodeRegistration(
      registration(
        {[`target.goatlas.io/${'t'.repeat(20)}`]: 'x-{replica}:1', [`target.goatlas.io/${'t'.repeat(20)}.replicas`]: '999'},
        name,
      ),
    )
    expect(Math.max(...thanosEndpointsOf(cluster).map(each => each.name.length))).to.equal(63)
    expect(parseClusterName(name)).to.equal(name)
  })
})

describe('manifest: groups of a registration', () => {
  it('are labels whose name can be one; each other is a remark', () => {
    const good = ['asia', 'e'.repeat(40)]
    const bad = ['sidecars', 'e'.repeat(41), '1st', 'Europe', 'a.b', '']
    const own = Object.fromEntries([...good, ...bad].map(group => [`group.goatlas.io/${group}`, '']))
    const {groups, remarks = []} = decodeRegistration(registration({}, 'paris', own))
    expect(groups).to.deep.equal(good)
    expect(remarks).to.have.length(bad.length)
    expect(remarks[0]).to.equal(
      'label "group.goatlas.io/sidecars" has no effect: the name of a group must be another than "sidecars", the DNS name of every cluster; got "sidecars"',
    )
  })
})

describe("manifest: keys of Atlas's that it does not know", () => {
  it('are remarks, with the nearest that it knows', () => {
    const {remarks} = decodeRegistration(
      registration(
        {'goatlas.io/adresses': 'x', 'goatlas.io/allow_admin': 'true', 'goatlas.io/something-else': '1', 'example.org/x': '1'},
        'paris',
        {'goatlas.io/replica': '2', 'group.goatlas.io/a': ''},
      ),
    )
    expect(remarks).to.deep.equal([
      'label "goatlas.io/replica" has no effect: Atlas does not know it; did you mean "goatlas.io/replicas"?',
      'annotation "goatlas.io/adresses" has no effect: Atlas does not know it; did you mean "goatlas.io/addresses"?',
      'annotation "goatlas.io/allow_admin" has no effect: Atlas does not know it; did you mean "goatlas.io/allow-admin"?',
      'annotation "goatlas.io/something-else" has no effect: Atlas does not know it',
    ])
  })

  it('are none in what Atlas and the 2021 program write', () => {
    const cluster = decodeRegistration(registration({'target.goatlas.io/ruler': 'x:1', 'goatlas.io/envoy-selectors': 'a=b'}))
    expect(cluster.remarks).to.equal(undefined)
    expect(decodeRegistration(encodeRegistration(undefined, cluster, 'atlas')).remarks).to.equal(undefined)
  })
})
