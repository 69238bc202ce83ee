/**
 * docs/how-to/migrate-from-goatlas.md, steps 1 to 5 and both ways back, every command in its order: a goatlas installation with three
 * clusters on a real API server, its Envoys and Atlas's side by side. There is no kubelet: migration.ts replaces it.
 */
import {readFile, stat} from 'node:fs/promises'
import path from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {type Channel, openPlain} from '../../src/demo/lab/grpc.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {objectsOf} from '../charts/support/rendered.js'
import {goatlasZone} from '../helpers/goatlas-objects.js'
import {endpointsIn} from '../helpers/zone.js'
import {inSteps} from '../helpers/steps.js'
import {ANSWERED_BY, oneCall} from './backend.js'
import {expectOurs, expectRecords, said, versions} from './migrated.js'
import {NAMESPACE, type Stored} from './migration.js'
import {NEW_PORT, type OldAndNew, names, openOldAndNew} from './old-and-new.js'

/** Longer than the time between reports, and than a pause after another writer's write (migration.ts). Milliseconds. */
const QUIET = 2000

describe('e2e: docs/how-to/migrate-from-goatlas.md, there and back', function () {
  this.timeout(300_000)
  inSteps()
  let stage: OldAndNew
  let kept: Channel | undefined

  before(async () => {
    stage = await openOldAndNew()
  })
  after(async () => {
    kept?.close()
    await stage.close()
  })

  it('goatlas answers for every cluster', async () => {
    await stage.until('an answer of every cluster', () => names.every(name => stage.query.asked(name).at(-1)?.by === `${name}/0`))
    expect(names.map(name => stage.wayOf(name))).to.deep.equal(['old', 'old', 'old'])
  })

  it('a first look and a backup, which no other user can read, with the objects of the old controller', async () => {
    const found = await stage.play('Before you begin')
    for (const name of names) expect(found).to.match(new RegExp(`^${NAMESPACE} +${name} `, 'm'))
    await stage.run(stage.blocks.find(({heading}) => heading === '1. Keep a copy')?.text ?? '')
    const copy = path.join(stage.folder, 'goatlas-before.yaml')
    expect((await stat(copy)).mode & 0o777).to.equal(0o600)
    const [list] = loadAll(await readFile(copy, 'utf8')) as [{items: readonly Stored[]}]
    const kept2021 = list.items.map(({kind, metadata}) => `${kind}/${metadata.name}`)
    expect(kept2021).to.include.members(['Secret/atlas-ca', 'Secret/downstream1-envoy-values', 'Service/downstream2-thanos-sidecar1'])
    for (const {metadata} of list.items) expect(metadata).not.to.have.any.keys('resourceVersion', 'uid')
  })

  it('the old controller stops, and nothing else', async () => {
    await stage.play('2. Stop the old controller')
    const {stdout} = await stage.run(`kubectl --namespace ${NAMESPACE} get deployments --output json`)
    const {items} = JSON.parse(stdout) as {items: {metadata: {name: string}; spec: {replicas: number}}[]}
    expect(Object.fromEntries(items.map(({metadata, spec}) => [metadata.name, spec.replicas]))).to.deep.equal({
      'atlas-atlas-controller': 0,
      'atlas-atlas-coredns': 1,
      'atlas-atlas-envoy-ads': 1,
      'atlas-envoy': 1,
      'thanos-query': 1,
    })
  })

  it('--dry-run prints what would be written, without a key, and writes nothing', async () => {
    const before = await stage.objects()
    const printed = await stage.play('3. Take it over', /--dry-run/)
    expect(printed)
      .to.contain('name: atlas-fleet')
      .and.to.contain('name: atlas-ca')
      .and.to.contain('3 clusters: downstream1, downstream2, downstream3')
    expect(printed).not.to.contain('PRIVATE KEY')
    expect(versions(await stage.objects())).to.deep.equal(versions(before))
  })

  it('init writes only settings, the ConfigMap for requests and the root, which keeps its key and its certificate; a second init writes nothing', async () => {
    const printed = await stage.play('3. Take it over', /^atlas init(?!.*--dry-run)/)
    expect(printed).to.match(/before you move it, run "?atlas cluster add downstream2 .*--stack/)
    const after = await stage.objects()
    const changed = [...after].filter(([key, {metadata}]) => metadata.resourceVersion !== stage.atFirst.get(key)?.metadata.resourceVersion)
    expect(changed.map(([key]) => key)).to.have.members(['ConfigMap/atlas-fleet', 'ConfigMap/atlas-requests', 'Secret/atlas-ca'])
    const [was, is] = [stage.atFirst, after].map(objects => objects.get('Secret/atlas-ca')?.data ?? {}) as [
      Record<string, string>,
      Record<string, string>,
    ]
    expect(is['ca-key.pem']).to.equal(was['ca-key.pem'])
    const certificates = (data: Record<string, string>): readonly string[] =>
      parseCertificates(Buffer.from(data['ca.pem'] ?? '', 'base64').toString()).map(String)
    expect(certificates(is)).to.have.length(2).and.to.include(certificates(was)[0])
    expect(JSON.stringify(after.get('Secret/atlas-ca')?.metadata)).not.to.contain('objectset')
    expect(await stage.play('3. Take it over', /^atlas init(?!.*--dry-run)/)).to.contain('nothing changed')
    expect(versions(await stage.objects())).to.deep.equal(versions(after))
  })

  it('the chart is installed beside the old one; its hook and the servers change no Service on a path to a cluster', async () => {
    const mark = stage.query.mark()
    const before = await stage.objects()
    await stage.play('4. Install Atlas beside it')
    const job = (await objectsOf({chart: 'atlas', release: 'atlas2', namespace: NAMESPACE})).find(({kind}) => kind === 'Job')
    const {args = []} = job?.spec?.template?.spec.containers[0] ?? {}
    expect((await stage.run(`atlas ${args.map(arg => `'${arg}'`).join(' ')}`)).stderr).to.contain('nothing changed')
    const installed = await stage.objects()
    for (const [key, {metadata}] of before) expect(installed.get(key)?.metadata.resourceVersion, key).to.equal(metadata.resourceVersion)

    await stage.startRelease()
    const after = await stage.objects()
    const rewritten = [...before].filter(([key, {metadata}]) => metadata.resourceVersion !== after.get(key)?.metadata.resourceVersion)
    expect(rewritten.map(([key]) => key)).to.have.members(['Secret/downstream1-envoy-values', 'Secret/atlas-envoy-values'])
    for (const [key] of rewritten) {
      const object = after.get(key)
      expect(JSON.stringify(object?.metadata.annotations ?? {}), key).not.to.contain('objectset')
      expect(Buffer.from(object?.data?.['values.yaml'] ?? '', 'base64').toString(), key)
        .to.contain('existingSecret')
        .and.not.to.contain('key.pem')
    }

    stage.expectUntouched(after, ...names)
    expectRecords(after)
    const endpoints = after.get('ConfigMap/atlas-thanos-endpoints')?.data?.['endpoints.yaml']
    for (const endpoint of endpointsIn(goatlasZone, '_thanos._tcp.sidecars.thanos.atlas.')) expect(endpoints).to.contain(endpoint)
    await stage.expectAnswers(mark, ...names)
  })

  it('no program writes while nothing happens', async () => {
    expect(stage.writes()).not.to.have.length(0)
    // On a slow machine the last of what the start brought about is written late; what would never end is what is looked for.
    let [last, quiet] = [stage.writes(), false]
    for (let turn = 0; turn < 10 && !quiet; turn += 1) {
      const before = versions(await stage.objects())
      await sleep(2 * QUIET)
      last = stage.writes()
      quiet = last.length === 0 && isDeepStrictEqual(versions(await stage.objects()), before)
    }

    expect(quiet, `writes went on: ${last.join(', ')}`).to.equal(true)
  })

  it('the first cluster moves without one failed request; the others stay as they are', async () => {
    kept = openPlain({host: stage.addresses.oldAtlas, port: 10_901})
    const mark = stage.query.mark()
    await stage.play('5. Move a cluster', /downstream1 .*--address/)
    const told = await stage.objects()
    expect(told.get('Service/downstream1')?.spec).to.deep.equal(stage.atFirst.get('Service/downstream1')?.spec)
    await sleep(500)
    stage.expectUntouched(await stage.objects(), ...names)

    await stage.move('first')
    const after = await stage.objects()
    expectOurs(after.get('Service/downstream1-thanos-sidecar0'))
    stage.expectUntouched(after, 'downstream2', 'downstream3')
    expectRecords(after)
    await sleep(1000)
    await stage.expectAnswers(mark, ...names)
    expect(names.map(name => stage.wayOf(name))).to.deep.equal(['new', 'old', 'old'])
    await stage.until('it to be synced', async () => /downstream1 .*synced/.test(await stage.play('5. Move a cluster', /^atlas status/)))
    const {nodePort} = (
      JSON.parse((await stage.run('kubectl --context downstream1 --namespace atlas get service atlas-envoy --output json')).stdout) as {
        spec: {ports: readonly [{nodePort: number}]}
      }
    ).spec.ports[0]
    expect(nodePort).to.equal(NEW_PORT)
  })

  it('a connection that was open before is answered through the old Envoys', async () => {
    const authority1 = `downstream1-thanos-sidecar0.${NAMESPACE}.svc.cluster.local:10901`
    expect((await kept!.call(oneCall(authority1))).headers[ANSWERED_BY]).to.equal('downstream1/0')
  })

  it('one cluster goes back, stays there, and moves again', async () => {
    const heading = 'Move one cluster back'
    await stage.play(heading, /helm/)
    await stage.ours.get('downstream1')?.stop()
    await stage.until('nobody to be connected', async () => /downstream1 .*not connected/.test(await stage.play(heading, /^atlas status/)))
    await stage.play(heading, /kubectl/)
    await stage.until('the first cluster to be asked the old way', () => stage.wayOf('downstream1') === 'old')
    const mark = stage.query.mark()
    const {spec} = (await stage.objects()).get('Service/downstream1-thanos-sidecar0') ?? expect.fail('the Service is gone')
    expect(spec?.['selector']).to.deep.equal(stage.atFirst.get('Service/downstream1-thanos-sidecar0')?.spec?.['selector'])
    await sleep(2 * QUIET)
    expect(stage.wayOf('downstream1')).to.equal('old')
    await stage.move('again')
    await stage.expectAnswers(mark, ...names)
  })

  it('everything goes back to its old state, and every request is answered', async () => {
    const mark = stage.query.mark()
    const heading = 'Move everything back'
    const [stopController, ...rest] = stage.commands(heading)
    await stage.run(stopController ?? '')
    await stage.stopServers()
    for (const command of rest) await stage.run(command)
    await stage.until('the first cluster to be asked the old way', () => stage.wayOf('downstream1') === 'old')
    const after = await stage.objects()
    for (const [key, object] of stage.atFirst)
      if (key !== 'Service/downstream1') expect(said(after.get(key)), key).to.deep.equal(said(object))
    expect([...after.keys()]).to.have.members([...stage.atFirst.keys()])
    expect(after.get('Service/downstream1')?.spec).to.deep.equal(stage.atFirst.get('Service/downstream1')?.spec)
    await stage.expectAnswers(mark, ...names)
    expect(await stage.play('3. Take it over', /^atlas init(?!.*--dry-run)/)).to.contain('Adopted from the 2021 program')
    const headings = ['Before you begin', '1. Keep a copy', '2. Stop the old controller', '3. Take it over', '4. Install Atlas beside it']
    expect(stage.unplayed([...headings, 'Move one cluster back', heading])).to.deep.equal([])
  })
})
