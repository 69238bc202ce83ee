/** docs/how-to/migrate-from-goatlas.md, steps 5 to 7: old Envoys are stopped, goatlas is removed, and what may fail meanwhile. */
import {setTimeout as sleep} from 'node:timers/promises'
import {isDeepStrictEqual} from 'node:util'
import {expect} from 'chai'
import {type Channel, callOnce, grpcCodes, openPlain} from '../../src/demo/lab/grpc.js'
import {inSteps} from '../helpers/steps.js'
import {ANSWERED_BY, oneCall} from './backend.js'
import {type Objects, expectOurs, expectRecords, versions} from './migrated.js'
import {NAMESPACE, type Stored} from './migration.js'
import {type OldAndNew, names, openOldAndNew} from './old-and-new.js'

describe('e2e: docs/how-to/migrate-from-goatlas.md, to the end', function () {
  this.timeout(300_000)
  inSteps()
  let stage: OldAndNew
  let kept: Channel | undefined

  before(async () => {
    stage = await openOldAndNew()
    await stage.standBeside()
    kept = openPlain({host: stage.addresses.oldAtlas, port: 10_901})
    await stage.move('first')
  })
  after(async () => {
    kept?.close()
    await stage.close()
  })

  it('when its old Envoy ends, only clients that have not reconnected are affected', async () => {
    const mark = stage.query.mark()
    expect(await stage.play('6. Restart Thanos Query')).to.match(/\b10\.96\.\d+\.\d+$/)
    await stage.old.get('downstream1')?.stop()
    await sleep(1000)
    await stage.expectAnswers(mark, ...names)
    const {grpcStatus} = await kept!.call(oneCall(`downstream1-thanos-sidecar0.${NAMESPACE}.svc.cluster.local:10901`))
    expect(grpcStatus).to.equal(grpcCodes.unavailable)
  })

  it('a cluster whose new Envoy replaces the old one at its address does not answer for some seconds, and then each replica answers for itself', async () => {
    const others = stage.query.mark()
    await stage.play('5. Move a cluster', /envoy-ads --replicas=0|cluster add downstream2/)
    for (const command of stage.commands('5. Move a cluster', /format secret|helm --kube-context|rollout status/))
      await stage.run(command.replaceAll('downstream1', 'downstream2').replace(' --values envoy-downstream2.yaml', ''))
    stage.expectUntouched(await stage.objects(), 'downstream2', 'downstream3')
    await stage.expectAnswers(others, ...names)

    const mark = stage.query.mark()
    await stage.old.get('downstream2')?.stop()
    stage.ours.set('downstream2', await stage.startEnvoy('downstream2', {address: stage.addresses.downstream2}))
    const began = stage.query.mark()
    await stage.until('the second cluster to answer the new way', () => {
      const {way, by} = stage.query.asked('downstream2').at(-1) ?? {}
      return way === 'new' && by === 'downstream2/0'
    })
    const sinceReady = stage.query.mark() - began
    expect(stage.query.gap('downstream2', mark)).to.be.greaterThan(1000)
    expect(sinceReady).to.be.lessThan(20_000)
    await stage.play('5. Move a cluster', /envoy-ads --replicas=1|^atlas status/)
    const selects = (objects: Objects, replica: number): unknown =>
      objects.get(`Service/downstream2-thanos-sidecar${replica}`)?.spec?.['selector']
    await stage.until('both Services to select the new Envoy', async () => {
      const objects = await stage.objects()
      return [0, 1].every(replica => isDeepStrictEqual(selects(objects, replica), {'goatlas.io/envoy': 'observability'}))
    })
    const after = await stage.objects()
    for (const replica of [0, 1]) {
      expectOurs(after.get(`Service/downstream2-thanos-sidecar${replica}`))
      const authority2 = `downstream2-thanos-sidecar${replica}.${NAMESPACE}.svc.cluster.local:10901`
      const {headers} = await callOnce(openPlain({host: stage.addresses.atlas, port: 10_901}), oneCall(authority2))
      expect(headers[ANSWERED_BY]).to.equal(`downstream2/${replica}`)
    }

    stage.expectUntouched(after, 'downstream3')
    expectRecords(after)
    await stage.expectAnswers(others, 'downstream1', 'downstream3')
  })

  it('a registration that can not be read changes nothing on the path to its cluster', async () => {
    const mark = stage.query.mark()
    for (const name of ['downstream1', 'downstream3'])
      await stage.run(`kubectl --namespace ${NAMESPACE} annotate service ${name} --overwrite goatlas.io/addresses='no address'`)
    await stage.until('both to be told', async () => {
      const {stdout} = await stage.run(`atlas cluster list --namespace ${NAMESPACE}`)
      return ['downstream1', 'downstream3'].every(name => new RegExp(`${name} .*unreadable`).test(stdout))
    })
    const before = await stage.objects()
    await sleep(1000)
    const after = await stage.objects()
    for (const key of before.keys()) if (key.startsWith('Service/')) expect(after.get(key), key).to.deep.equal(before.get(key))
    stage.expectUntouched(after, 'downstream3')
    expectRecords(after)
    await stage.expectAnswers(mark, ...names)
    await stage.run(
      `kubectl --namespace ${NAMESPACE} annotate service downstream1 --overwrite goatlas.io/addresses=${stage.addresses.downstream1}`,
    )
    await stage.run(`kubectl --namespace ${NAMESPACE} annotate service downstream3 goatlas.io/addresses-`)
  })

  it('against an old controller that runs by mistake Atlas does not write in a loop, and its own write is the last', async () => {
    const key = 'Service/downstream1-thanos-sidecar0'
    const at = `/api/v1/namespaces/${NAMESPACE}/services/downstream1-thanos-sidecar0`
    const {metadata, spec} = stage.atFirst.get(key) ?? expect.fail('there was none')
    const theirs = {
      metadata: {labels: metadata.labels, annotations: metadata.annotations},
      spec: {selector: {...(spec?.['selector'] as object), 'goatlas.io/envoy': null}, ports: spec?.['ports']},
    }
    stage.writes()
    let answered = 0
    const begin = performance.now()
    while (performance.now() < begin + 2500 || (answered <= 2 && performance.now() < begin + 30_000)) {
      await sleep(20)
      const {body} = await stage.kubernetes.request<Stored>('GET', at)
      if (!('goatlas.io/envoy' in (body.spec?.['selector'] as object))) continue
      answered += 1
      await stage.kubernetes.request('PATCH', at, theirs, {contentType: 'application/merge-patch+json'})
    }

    // At once, and after 0.25, 0.5 and 1 s.
    expect(answered).to.be.greaterThan(2).and.lessThan(7)
    expect(stage.writes().filter(write => write.endsWith(at)).length).to.be.lessThan(7)
    await stage.until('the Service to be as it should', async () => {
      expectOurs((await stage.objects()).get(key))
      return true
    })
    await stage.until('requests to go the new way', () => stage.wayOf('downstream1') === 'new')
    expectOurs((await stage.objects()).get(key))
    expect((await stage.log()).match(/another writer overwrites/g)).to.have.length(1)
  })

  it('goatlas is uninstalled by its own Helm release, and nothing of Atlas is deleted', async () => {
    const before = await atRest()
    const mark = stage.query.mark()
    await stage.play('7. Uninstall the old program')
    for (const name of ['downstream3', 'atlas']) await stage.old.get(name)?.stop()
    await collectorHasPassed()
    const after = await stage.objects()
    const gone = [...before.keys()].filter(key => !after.has(key))
    expect(gone).to.have.members([
      'ConfigMap/atlas-atlas-coredns',
      'Service/envoy',
      ...['coredns', 'envoy-ads'].map(name => `Service/atlas-atlas-${name}`),
      ...['client', 'server'].map(name => `Secret/atlas-${name}`),
      'ConfigMap/old-envoy',
    ])
    for (const [key, {metadata}] of before)
      if (!gone.includes(key)) expect(after.get(key)?.metadata.resourceVersion, key).to.equal(metadata.resourceVersion)
    expectRecords(after)
    await stage.expectAnswers(mark, 'downstream1', 'downstream2')
    expect(stage.unplayed(['5. Move a cluster', '6. Restart Thanos Query', '7. Uninstall the old program'])).to.deep.equal([])
  })

  /** All objects, once no program has written any of them for two seconds. */
  async function atRest(): Promise<Objects> {
    let objects = await stage.objects()
    await stage.until('the objects to be at rest', async () => {
      const before = objects
      await sleep(2000)
      objects = await stage.objects()
      return isDeepStrictEqual(versions(before), versions(objects))
    })
    return objects
  }

  /** Waits until the garbage collector has deleted an object without owner: then it has deleted all such objects. */
  async function collectorHasPassed(): Promise<void> {
    const ownerReferences = [{apiVersion: 'v1', kind: 'Service', name: 'nobody', uid: '00000000-0000-4000-8000-000000000000'}]
    const place = `/api/v1/namespaces/${NAMESPACE}/configmaps`
    await stage.kubernetes.request('POST', place, {metadata: {name: 'orphan', ownerReferences}})
    await stage.until('the garbage collector', async () => (await stage.kubernetes.request('GET', `${place}/orphan`)).status === 404)
  }
})
