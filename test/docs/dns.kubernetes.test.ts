/** docs/how-to/dns.md: the chart takes its values, a real API server the pod, and two real CoreDNS answer for the zone with its blocks: one with the file, one that forwards. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {Resolver} from 'node:dns/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {openSupervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {renderZone} from '../../src/lib/manifest/zone.js'
import {zoneName} from '../../src/lib/model/names.js'
import {applyAll} from '../charts/support/apply.js'
import {ownAddress} from '../charts/support/pod-process.js'
import {type KubernetesObject, findObject, objectsOf} from '../charts/support/rendered.js'
import {testDependencies, testFleet} from '../helpers/dependencies.js'
import {askSrv} from '../helpers/dns-client.js'
import {program} from '../helpers/kubernetes/programs.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {type Block, blocksOf} from '../helpers/page.js'
import {standing} from './examples.js'

/** Replicas with such names that fit into one answer (docs/reference/limits.md). */
const MOST = 908

const CLUSTER_IP = '10.96.0.53'

describe('docs/how-to/dns.md', () => {
  let blocks: readonly Block[]
  before(async () => {
    blocks = await blocksOf('how-to/dns.md')
  })

  const texts = (language: string, heading?: string): readonly string[] =>
    blocks.filter(each => each.language === language && (heading === undefined || each.heading === heading)).map(({text}) => text)

  it('names the DNS name that Atlas writes', () => {
    expect(texts('text')[0]?.trim()).to.equal(`--endpoint=dnssrvnoa+_thanos._tcp.${zoneName()}`)
  })

  it('the chart takes its values: a name server at that address, which forwards other names where the values say so', async () => {
    const values = texts('yaml').filter(text => text.startsWith('# values of chart atlas\n'))
    expect(values).to.have.length(2)
    for (const [index, text] of values.entries()) {
      const objects = await objectsOf({...standing.atlas, values: text})
      expect(findObject(objects, 'Service', 'atlas-coredns').spec).to.deep.include({clusterIP: CLUSTER_IP})
      const corefile = objects.map(({data}) => data?.['Corefile']).find(Boolean)
      expect(corefile?.includes('forward . /etc/resolv.conf')).to.equal(index === 1)
    }
  })

  it('a real API server takes a pod of Thanos Query whose DNS is the chart’s name server', async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('dns')
    const {spec} = load(texts('yaml').find(text => text.startsWith('# the pod template')) ?? '') as {spec: {dnsConfig: object}}
    expect(spec.dnsConfig).to.deep.include({nameservers: [CLUSTER_IP]})
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {name: 'query', namespace},
      spec: {...spec, containers: [{name: 'query', image: 'quay.io/thanos/thanos:v0.42.5'}]},
    }
    await applyAll(kubernetes, [pod as unknown as KubernetesObject])
  })

  it('a real CoreDNS serves the zone with one block, and another forwards to it with the other, up to the largest zone', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'atlas-dns-page-'))
    const supervisor = await openSupervisor(folder, {removeFolder: true})
    try {
      const [first, second] = [ownAddress(), ownAddress()]
      const dependencies = testDependencies()
      const names = Array.from({length: MOST}, (_, index) => `cluster-${String(index).padStart(4, '0')}`)
      await writeFile(path.join(folder, 'atlas.zone'), renderZone(testFleet(dependencies, names), undefined, dependencies.now()))
      const targets = names.map(name => `${name}-thanos-sidecar0.atlas.svc.cluster.local:10901`)
      const corefiles = texts('corefile')
      expect(corefiles).to.have.length(2)
      for (const [name, address, text = ''] of [
        ['zone', first, corefiles.find(each => each.includes('file '))],
        ['stub', second, corefiles.find(each => each.includes('forward '))],
      ] as const) {
        const placed = text
          .replace('atlas.:53 {', `atlas.:1053 {\n    bind ${address}`)
          .replace('/etc/coredns-zone', folder)
          .replace(`forward . ${CLUSTER_IP}`, `forward . ${first}:1053`)
        await writeFile(path.join(folder, name), placed)
        await supervisor.start({name, program: program('coredns'), args: ['-conf', path.join(folder, name)]})
        const resolver = new Resolver({timeout: 1000, tries: 1})
        resolver.setServers([`${address}:1053`])
        const answered = await waitFor('an answer', async () => resolver.resolveSrv(`_thanos._tcp.${zoneName()}`), {
          signal: supervisor.crashed,
          timeoutMs: 90_000,
        })
        expect(answered.map(({name: target, port}) => `${target}:${port}`).sort()).to.deep.equal(targets)
      }

      // Whatever a client can take, and whatever the cache has been asked for before: an answer is whole, or it fits and says that it is cut.
      for (const [at, who] of [
        [first, 'zone'],
        [second, 'stub'],
      ] as const)
        for (const by of ['tcp', 'plain', {udp: 1232}, 'tcp', {udp: 4096}, 'plain', {udp: 65_535}, 'tcp'] as const) {
          const {bytes, isTruncated, code, answers} = await askSrv({host: at, port: 1053}, {name: `_thanos._tcp.${zoneName()}`, by})
          const asked = `${who} by ${JSON.stringify(by)}: ${bytes} bytes`
          const limit = by === 'tcp' ? 65_535 : by === 'plain' ? 512 : by.udp
          expect({code, fits: bytes <= limit}, asked).to.deep.equal({code: 0, fits: true})
          expect(isTruncated ? 'cut' : answers, asked).to.be.oneOf(limit === 65_535 ? [MOST] : ['cut'])
        }
    } finally {
      await supervisor.stopAll(0)
      await rm(folder, {recursive: true, force: true})
    }
  })
})
