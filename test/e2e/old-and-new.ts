/**
 * Three clusters of a goatlas installation behind its own Envoys, under continuous requests, and Atlas installed beside it: the
 * fixture of the tests of docs/how-to/migrate-from-goatlas.md.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import type {Running} from '../../src/demo/lab/processes.js'
import {ownAddress} from '../charts/support/pod-process.js'
import type {RunningEnvoy} from '../helpers/envoy-process.js'
import {goatlasAuthority} from '../helpers/goatlas.js'
import {serveBackend} from './backend.js'
import {startOldDownstream, startOldObservability} from './goatlas.js'
import {type Objects, expectSameServices} from './migrated.js'
import {type Migration, NAMESPACE, openMigration} from './migration.js'
import {type Query, openQuery} from './query.js'

/** Their names in the fixtures; the second has two replicas. */
export const names = ['downstream1', 'downstream2', 'downstream3'] as const
export type Name = (typeof names)[number]

/** The address of the new Envoy of the first cluster, which was the old one's. */
export const NEW_PORT = 31_901

export interface OldAndNew extends Migration {
  readonly query: Query
  /** The objects before the first step. */
  readonly atFirst: Objects
  /** goatlas's Envoys by cluster, the observability Envoy as `atlas`; and Atlas's. */
  readonly old: ReadonlyMap<string, RunningEnvoy>
  readonly ours: Map<string, Running>
  readonly addresses: Readonly<Record<Name | 'atlas' | 'oldAtlas', string>>
  /** Runs commands of the page. @returns their output */
  play(heading: string, which?: RegExp): Promise<string>
  /** Steps 1 to 4, until all objects of Atlas exist. */
  standBeside(): Promise<void>
  /** Starts servers and observability Envoy of the release that step 4 has installed. */
  startRelease(): Promise<void>
  /** The first cluster's step 5. */
  move(how: 'again' | 'first'): Promise<void>
  /** The path of the last request to a cluster. */
  wayOf(name: string): string
  /** Expects that every request to these clusters since `mark` was answered by the cluster's own sidecar; waits for the first to each. */
  expectAnswers(mark: number, ...clusters: readonly Name[]): Promise<void>
  /** Expects that no program has written the Services of these clusters since the beginning. */
  expectUntouched(objects: Objects, ...clusters: readonly Name[]): void
}

const MANAGED = 'app.kubernetes.io/managed-by'

/** Starts goatlas's network. */
export async function openOldAndNew(): Promise<OldAndNew> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-migrate-'))
  const addresses = {
    downstream1: ownAddress(),
    downstream2: ownAddress(),
    downstream3: ownAddress(),
    atlas: ownAddress(),
    oldAtlas: ownAddress(),
  }
  /** The address of the second cluster's sidecars, without the `0` or `1` at its end. */
  const replicas = `${ownAddress().split('.').slice(0, 3).join('.')}.1`
  const sidecars = {downstream1: [ownAddress()], downstream2: [`${replicas}0`, `${replicas}1`], downstream3: [ownAddress()]}
  const authority = goatlasAuthority()
  const migration = await openMigration(folder, authority, {
    '203.0.113.7': addresses.atlas,
    '198.51.100.1 ': `${addresses.downstream1} `,
    // This machine has no resolver for the names of that stack.
    '--stack kube-prometheus-stack=prometheus': `--thanos ${replicas}{replica}:10901 --address ${addresses.downstream2}`,
  })
  const close = async (): Promise<void> => {
    await migration.close()
    await rm(folder, {recursive: true, force: true})
  }
  try {
    const old = new Map<string, RunningEnvoy>()
    migration.onClose(async () => Promise.all([...old.values()].map(async envoy => envoy.stop())))
    for (const name of names) {
      for (const [replica, host] of sidecars[name].entries()) {
        const backend = await serveBackend({host, port: 10_901}, `${name}/${replica}`)
        migration.onClose(backend.close)
      }

      old.set(name, await startOldDownstream(addresses[name], {host: sidecars[name][0] ?? '', port: 10_901}, authority))
    }

    const {downstream1, downstream2, downstream3} = addresses
    old.set('atlas', await startOldObservability(addresses.oldAtlas, {downstream1, downstream2, downstream3}, authority))
    await migration.run(others)
    const query = openQuery(migration.kubernetes, NAMESPACE, names, {old: addresses.oldAtlas, new: addresses.atlas})
    migration.onClose(query.stop)
    const stage = {migration, addresses, old, query, close, sidecar: sidecars.downstream1[0] ?? '', atFirst: await migration.objects()}
    return stageOf(stage)
  } catch (error) {
    await close()
    throw error
  }
}

/** The Helm release of an old downstream Envoy, and Thanos Query. */
const others = `mkdir -p old-envoy/templates
printf 'apiVersion: v2\\nname: envoy\\nversion: 1.3.0\\n' > old-envoy/Chart.yaml
printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: old-envoy}\\n' > old-envoy/templates/files.yaml
helm --kube-context downstream1 install envoy ./old-envoy --namespace ${NAMESPACE}
kubectl --namespace ${NAMESPACE} create deployment thanos-query --image=quay.io/thanos/thanos:v0.42.4`

interface Parts extends Pick<OldAndNew, 'addresses' | 'atFirst' | 'close' | 'old' | 'query'> {
  readonly migration: Migration
  /** The address of all names of the first cluster. */
  readonly sidecar: string
}

function stageOf({migration, addresses, sidecar, ...parts}: Parts): OldAndNew {
  const {query, atFirst} = parts
  const ours = new Map<string, Running>()

  async function play(heading: string, which?: RegExp): Promise<string> {
    let all = ''
    for (const command of migration.commands(heading, which)) {
      const {stdout, stderr} = await migration.run(command)
      all += stdout + stderr
    }

    return all
  }

  async function startRelease(): Promise<void> {
    await migration.startServers()
    ours.set('atlas', await migration.startEnvoy('atlas', {address: addresses.atlas}))
    await migration.until('the zone, endpoints, credentials and values', async () => {
      const objects = await migration.objects()
      const isOurs = (name: string): boolean => objects.get(`Secret/${name}-envoy-values`)?.metadata.labels?.[MANAGED] === 'atlas'
      const isKnown = (name: string): boolean => objects.has(`Secret/${name}-envoy-ads`)
      const areListed = objects.has('ConfigMap/atlas-coredns') && objects.has('ConfigMap/atlas-thanos-endpoints')
      return areListed && [...names, 'atlas'].every(name => isOurs(name) && isKnown(name))
    })
  }

  const wayOf = (name: string): string => query.asked(name).at(-1)?.way ?? 'nowhere'

  return {
    ...migration,
    ...parts,
    addresses,
    ours,
    play,
    startRelease,
    wayOf,

    async standBeside() {
      await migration.run(migration.blocks.find(({heading}) => heading === '1. Keep a copy')?.text ?? '')
      await play('2. Stop the old controller')
      await play('3. Take it over', /^atlas init(?!.*--dry-run)/)
      await play('4. Install Atlas beside it')
      await startRelease()
    },

    async move(how) {
      const step = '5. Move a cluster'
      // A Service is taken over after one round of the health check, 8 s by default.
      await migration.run(`atlas init --namespace ${NAMESPACE} --set healthInterval=500ms`)
      const values = migration.blocks.find(({heading, language}) => heading === step && language === 'yaml')
      await migration.run(`cat > envoy-downstream1.yaml <<'END'\n${values?.text ?? ''}END`)
      await play(step, /downstream1 .*--address/)
      if (how === 'first') await play(step, /--context downstream1 create/)
      await play(step, /format secret|helm --kube-context|rollout status/)
      ours.set('downstream1', await migration.startEnvoy('downstream1', {address: addresses.downstream1, port: NEW_PORT, names: sidecar}))
      await play(step, /kubectl .* wait service/)
      await migration.until('the first cluster to be asked the new way', () => wayOf('downstream1') === 'new')
    },

    async expectAnswers(mark, ...clusters) {
      for (const name of clusters) {
        await migration.until(`a request to ${name}`, () => query.asked(name, mark).length > 0)
        const wrong = query.asked(name, mark).filter(({by}) => by !== `${name}/0`)
        expect(wrong, name).to.deep.equal([])
      }
    },

    expectUntouched: (objects, ...clusters) => {
      expectSameServices(atFirst, objects, clusters)
    },
  }
}
