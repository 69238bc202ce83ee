/** The chart's name server, as a real CoreDNS with its Corefile: it starts before its zone exists, and serves the zone of the controller. */
import {Resolver} from 'node:dns/promises'
import {mkdir, readFile, rename, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {serveDns} from '../../src/demo/lab/dns.js'
import {openSupervisor} from '../../src/demo/lab/processes.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {renderZone, zoneNames} from '../../src/lib/manifest/zone.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {inFolder} from '../helpers/atlas.js'
import {program} from '../helpers/kubernetes/programs.js'
import {testCluster} from '../helpers/fleet.js'
import {testFleet, testDependencies, testSettings} from '../helpers/dependencies.js'
import {whyNameTooLong} from '../../src/lib/manifest/text-limits.js'
import {openPod, ownAddress} from './support/pod-process.js'
import {objectsOf} from './support/rendered.js'

const NAME = '_thanos._tcp.sidecars.thanos.atlas'

describe("chart atlas's name server", () => {
  it('serves the zone as soon as it exists, follows its changes, and forwards all other names', async () => {
    const address = ownAddress()
    const set = [`coredns.forward={${address}:1054}`]
    const objects = await objectsOf({chart: 'atlas', ci: 'coredns', set})
    await inFolder(async folder => {
      const supervisor = await openSupervisor(folder, {removeFolder: true})
      const others = await serveDns({host: address, port: 1054}, {suffix: 'svc.cluster.local', address: '192.0.2.9'})
      try {
        const pod = await openPod(objects, 'Deployment/atlas-dns', {folder, address, podName: 'dns-0'})
        await bindTo(path.join(folder, 'etc/coredns/Corefile'), address)
        await supervisor.start(pod.command(program('coredns'), 'coredns'))
        const until = async <T>(what: string, probe: () => Promise<T | undefined>): Promise<T> =>
          waitFor(what, probe, {signal: supervisor.crashed, timeoutMs: 90_000, everyMs: 100})
        for (const page of [':8080/health', ':8181/ready', ':9153/metrics'])
          await until(page, async () => ((await fetch(`http://${address}${page}`)).ok ? true : undefined))

        const resolver = new Resolver({timeout: 5000, tries: 2})
        resolver.setServers([`${address}:1053`])
        const targets = async (): Promise<readonly string[]> =>
          (await resolver.resolveSrv(NAME)).map(({name, port}) => `${name}:${port}`).sort()
        expect(await targets().catch((error: unknown) => (error as {code: string}).code)).to.equal('ESERVFAIL')
        expect(await resolver.resolve4('atlas-ads.atlas.svc.cluster.local')).to.deep.equal(['192.0.2.9'])

        const [dependencies, file] = [testDependencies(), path.join(folder, 'etc/coredns-zone/atlas.zone')]
        const first = renderZone(testFleet(dependencies), undefined, dependencies.now())
        await replace(file, first)
        expect(await until('the zone', targets)).to.deep.equal(['paris-thanos-sidecar0.atlas.svc.cluster.local:10901'])
        await replace(file, renderZone(testFleet(dependencies, ['paris', 'lyon']), first, dependencies.now()))
        const both = ['lyon-thanos-sidecar0.atlas.svc.cluster.local:10901', 'paris-thanos-sidecar0.atlas.svc.cluster.local:10901']
        const isBoth = async (): Promise<true | undefined> => ((await targets()).length === 2 ? true : undefined)
        await until('the second zone', isBoth)
        expect(await targets()).to.deep.equal(both)

        // A group has a name of its own, which goes with its last cluster.
        const inGroup = async (): Promise<number> => (await resolver.resolveSrv('_thanos._tcp.europe.thanos.atlas').catch(() => [])).length
        const grouped = testFleet(dependencies, ['paris', 'lyon'], {...testSettings, groups: ['europe']})
        const paris = testCluster('paris', {groups: ['europe']})
        const withGroup = reduceAll(grouped, [{kind: 'registration', name: paris.name, value: paris}])
        await replace(file, renderZone(withGroup, await readFile(file, 'utf8'), dependencies.now()))
        await until('the name of a group', async () => ((await inGroup()) === 1 ? true : undefined))
        await replace(file, renderZone(grouped, await readFile(file, 'utf8'), dependencies.now()))
        await until('the end of that name', async () => ((await inGroup()) === 0 ? true : undefined))
        expect(await targets()).to.deep.equal(both)

        // The largest fleet that Atlas writes into the zone is answered whole, and one that it does not write would be cut.
        const most = 908
        for (const [size, answered] of [
          [most, most],
          [most + 12, most + 1],
        ] as const) {
          const names = Array.from({length: size}, (_, index) => `cluster-${String(index).padStart(4, '0')}`)
          const zone = withAll(testFleet(dependencies, names), await readFile(file, 'utf8'))
          expect(zone.isTooLong, `${size} replicas`).to.equal(size !== most)
          await replace(file, zone.text)
          const isAnswered = async (): Promise<true | undefined> => ((await targets()).length === answered ? true : undefined)
          await until(`${answered} of ${size} replicas`, isAnswered)
        }
      } finally {
        await others.close()
        await supervisor.stopAll(0)
      }
    })
  })
})

/** The zone with every record, also where Atlas would leave those of its name as they are. */
function withAll(fleet: Fleet, previous: string): {readonly text: string; readonly isTooLong: boolean} {
  const [every] = zoneNames(fleet, fleet.settings ?? testSettings, undefined)
  const head = renderZone(
    reduceAll(
      fleet,
      [...fleet.registrations.keys()].map((name): Change => ({kind: 'registration', name, value: undefined})),
    ),
    previous,
    new Date(),
  )
  return {text: `${head}${every?.records ?? ''}\n`, isTooLong: whyNameTooLong(every?.records ?? '') !== undefined}
}

/** Listens on one address, since other tests run on this machine, and reads the zone every 2 s instead of every 15. */
async function bindTo(file: string, address: string): Promise<void> {
  const text = await readFile(file, 'utf8')
  expect(text).to.match(/reload 15s/)
  const bound = text
    .replaceAll(/^(.*:1053) \{$/gm, `$1 {\n    bind ${address}`)
    .replaceAll(/(health|ready|prometheus) :/g, `$1 ${address}:`)
    .replace('reload 15s', 'reload 2s')
  await writeFile(file, bound)
}

/** Replaces a file in one step, as the kubelet does. */
async function replace(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), {recursive: true})
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}
