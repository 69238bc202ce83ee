/** docs/reference/registration.md: its example is read as it says, on its own, and it has every key that Atlas knows. */
import {expect} from 'chai'
import {decodeRegistration} from '../../src/lib/manifest/registration.js'
import type {Manifest} from '../../src/lib/manifest/manifest.js'
import {parseYaml} from '../../src/lib/manifest/yaml.js'
import {annotations, labels} from '../../src/lib/model/names.js'
import {readFileSync} from 'node:fs'

const page = readFileSync(new URL('../../docs/reference/registration.md', import.meta.url), 'utf8')
const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? []

describe('docs/reference/registration.md', () => {
  it('has an example in which every key has an effect', () => {
    const cluster = decodeRegistration(parseYaml(example) as Manifest)
    expect(cluster.remarks).to.equal(undefined)
    expect(cluster).to.deep.include({name: 'paris', replicas: 2, groups: ['europe']})
    expect([...cluster.ports]).to.deep.equal([
      [11_901, 30_901],
      [11_904, 30_904],
    ])
    expect(cluster.addresses.map(({host}) => host)).to.deep.equal(['198.51.100.4', 'paris.example.com'])
    expect(cluster.targets.get('ruler')?.replicas).to.equal(2)
    expect(cluster.pages).to.deep.include({allowSilences: false, allowAdmin: false})
    expect(cluster.pages.paths.prom).to.equal('/prometheus')
  })

  it('has every key of a registration', () => {
    const services = ['thanos', 'prometheus', 'alertmanager']
    const {service, servicePort, path, installation: _, anyAge: _offered, ...plain} = annotations
    const keys = [
      ...[labels.cluster, labels.replicas, labels.group, labels.format],
      ...Object.values(plain),
      ...services.flatMap(each => [service(each), servicePort(each), path(each)]),
    ]
    for (const key of keys) expect(page, key).to.include(`\`${key}`)
  })
})
