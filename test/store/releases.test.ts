/**
 * Stores as each release has left them are read for ever. A folder of test/golden/stores is written once, by the release that it is
 * named after (`UPDATE_GOLDEN=1` makes one that is missing), and never again.
 */
import {cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {digestOf} from '../../src/lib/manifest/pack-report.js'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import {type Change, describe as describeChange, reduceAll} from '../../src/lib/model/change.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {Report} from '../../src/lib/model/report.js'
import {planReconcile} from '../../src/lib/ops/reconcile.js'
import {readKey} from '../../src/lib/pki/read.js'
import {memoryStore} from '../helpers/memory-store.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {changesOf, plain} from '../helpers/fleet-changes.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'

const GOLDEN = fileURLToPath(new URL('../golden/stores', import.meta.url))
const RELEASE = '0.1.0'
const paris = parseClusterName('paris')
const at = '2026-11-23T00:00:00.000Z'

const report: Report = {
  format: 1,
  at,
  startedAt: at,
  address: '[::]:6305',
  ready: true,
  reasons: [],
  warnings: [],
  store: {description: 'namespace atlas', reachable: true},
  proxies: [
    {
      cluster: paris,
      id: 'paris-0',
      sequence: 1,
      variant: 'delta',
      path: 'relay',
      connectedSince: at,
      types: [{type: 'Cluster', state: 'synced', sent: 2, acknowledged: 2}],
      credential: {sha256: 'ab'},
      equalIds: 1,
    },
  ],
  withoutProxy: ['atlas'],
  refusals: [],
  unrepaired: [],
  faults: [],
}

/** 0.1.0 wrote no begin of a credential into its record. */
function withoutBegin(fleet: Fleet): Fleet {
  const records = [...fleet.records].map(([owner, record]) => {
    const credentials = record.credentials.map(({notBefore: _, ...credential}) => credential)
    return [owner, {...record, credentials}] as const
  })
  return {...fleet, records: new Map(records)}
}

/** Everything that a fleet keeps, also in Kubernetes: derived objects, requests, and the servers' reports. */
function fleetOf010(): Fleet {
  const dependencies = testDependencies()
  const registered = withoutBegin(testFleet(dependencies, ['paris', 'lyon']))
  const derived = reduceAll(registered, planReconcile(registered, dependencies, {withDerived: true}))
  const changes: readonly Change[] = [
    {
      kind: 'request',
      id: 'rotate-1',
      value: {kind: 'rotate', owners: [paris], requestedAt: at, state: 'done', answeredAt: at, message: 'rotate paris'},
    },
    {kind: 'replicas', value: ['atlas-ads-0']},
    {kind: 'report', replica: 'atlas-ads-0', value: {report, leftovers: [], digest: digestOf(report, [])}},
  ]
  return reduceAll(derived, changes)
}

async function write(folder: string): Promise<void> {
  const store = memoryStore()
  const fleet = fleetOf010()
  const rest = [...fleet.derived].map(([object, value]): Change => ({kind: 'derived', object, value}))
  const others = [
    ...[...fleet.requests].map(([id, value]): Change => ({kind: 'request', id, value})),
    {kind: 'replicas', value: fleet.replicas} as const,
    ...[...fleet.reports].map(([replica, value]): Change => ({kind: 'report', replica, value})),
  ]
  const after = await store.commit(await store.load(), [...changesOf(fleet), ...rest, ...others])
  mkdirSync(folder, {recursive: true})
  for (const key of after.revisions.keys())
    writeFileSync(path.join(folder, `${key.toLowerCase().replace('/', '-')}.yaml`), renderYaml(store.get(key)))
}

describe('stores of earlier releases', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'atlas-release-'))
  })
  afterEach(() => rmSync(folder, {recursive: true}))

  it(`${RELEASE}: everything in it is read as it was written; identities without the name of their generation are due, and the mark of the endpoints`, async () => {
    const golden = path.join(GOLDEN, RELEASE)
    if (process.env['UPDATE_GOLDEN'] === '1' && !existsSync(golden)) await write(golden)
    cpSync(golden, folder, {recursive: true})
    expect(readdirSync(folder).length).to.be.greaterThan(20)
    const found = await openDirectory({directory: folder}).load()
    expect([...found.faults]).to.deep.equal([])
    const [written, read] = [fleetOf010(), found].map(fleet =>
      // That release did not mark the endpoints with their installation, and indented them.
      plain({
        ...fleet,
        identities: new Map([['atlas', fleet.identities.get('atlas')!]]),
        endpoints: {text: fleet.endpoints?.text.replaceAll(/^ +- /gm, '- ') ?? ''},
      }),
    )
    expect(read).to.deep.equal(written)
    for (const [owner, identity] of found.identities)
      expect(readKey(identity).uris, owner).to.deep.equal(readKey(fleetOf010().identities.get(owner)!).uris)
    const due = planReconcile(found, testDependencies(), {withDerived: true})
    expect(due.map(change => describeChange(change))).to.deep.equal([
      'write the identity of lyon',
      'write the identity of paris',
      'write the endpoints for Thanos Query',
    ])
    expect(planReconcile(reduceAll(found, due), testDependencies(), {withDerived: true})).to.deep.equal([])
  })
})
