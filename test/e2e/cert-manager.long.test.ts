/**
 * A root that a real cert-manager keeps, to the end of the rotations that its renewals begin, with real Envoys under load: each kind of Issuer
 * with each rotation policy, and several kinds of key.
 */
import {expect} from 'chai'
import {X509Certificate, createPublicKey} from 'node:crypto'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {
  AUTHORITY_SECRET,
  askedRoots,
  certificateObjects,
  describeAsked,
  livingFor,
  renewNow,
  renewedAfter,
  startCertManager,
} from '../helpers/kubernetes/cert-manager.js'
import type {Kubernetes} from '../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {inSteps} from '../helpers/steps.js'
import {type Installation, openInstallation} from './installation.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Pipeline, expectOneRotation, quickRotation, recordRotation, startPipeline} from './rotating.js'
import {expectForgotten} from './retired.js'

/** By bits. */
const curves: Readonly<Record<number, string>> = {256: 'prime256v1', 384: 'secp384r1', 521: 'secp521r1'}

/** Seconds for a whole rotation on a machine that does much else. */
const ROTATED_S = 180

describe('e2e: a root of cert-manager', () => {
  let endCertManager: (() => Promise<void>) | undefined
  before(async function () {
    this.timeout(120_000)
    endCertManager = await startCertManager(await sharedKubernetes())
  })
  after(async () => endCertManager?.())

  for (const asked of askedRoots)
    describe(describeAsked(asked), function () {
      this.timeout(600_000)
      inSteps()
      let kubernetes: Kubernetes
      let network: Installation
      let pipeline: Pipeline | undefined

      before(async () => {
        kubernetes = await sharedKubernetes()
        network = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], ads: 2, controllers: 1, ...quickRotation, bringRoot})
        await untilReachable(network)
        await untilSynced(network)
        pipeline = startPipeline(network)
      })
      after(async () => {
        await pipeline?.stop()
        await network.close()
      })

      async function bringRoot(namespace: string): Promise<{rootSecret: string}> {
        const {code, stderr} = await kubernetes.kubectl(['-n', namespace, 'apply', '-f', '-'], {input: certificateObjects(asked)})
        if (code !== 0) throw new Error(stderr)
        const at = `/api/v1/namespaces/${namespace}/secrets/${AUTHORITY_SECRET}`
        for (let tries = 0; (await kubernetes.request('GET', at)).status !== 200; tries += 1) {
          if (tries > 400) throw new Error('cert-manager has issued nothing')
          await sleep(100)
        }
        return {rootSecret: AUTHORITY_SECRET}
      }

      /** The certificate and the key that cert-manager keeps now. */
      async function kept(name = AUTHORITY_SECRET): Promise<{certificate: string; key: string; above: string}> {
        const secret = await network.get(`secrets/${name}`)
        const text = (field: string): string => Buffer.from(secret?.data?.[field] ?? '', 'base64').toString()
        const [own = ''] = /-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/.exec(text('tls.crt')) ?? []
        return {certificate: own, key: text('tls.key'), above: text('ca.crt')}
      }

      const publicKey = (pem: string): string => createPublicKey(pem).export({type: 'spki', format: 'pem'}).toString()
      const isRoot = ({authority, trust}: Fleet, certificate: string): boolean =>
        authority.get('root')?.certificate === certificate && trust?.roots.join() === certificate

      async function untilRotatedTo(recorder: {fleet(): Fleet}, certificate: () => Promise<string>): Promise<void> {
        const isDone = async (): Promise<boolean> => {
          const fleet = recorder.fleet()
          return fleet.rotation === undefined && isRoot(fleet, await certificate())
        }
        await until(network, 'the rotation to end with the renewed certificate', isDone, ROTATED_S)
        await untilSynced(network)
      }

      it('is in force: its key is the one that was asked for', async () => {
        const {certificate, key} = await kept()
        expect(isRoot(await network.fleet(), certificate)).to.equal(true)
        const {asymmetricKeyType, asymmetricKeyDetails} = createPublicKey(key)
        if (asked.algorithm === 'RSA') expect([asymmetricKeyType, asymmetricKeyDetails?.modulusLength]).to.deep.equal(['rsa', asked.size])
        else expect([asymmetricKeyType, asymmetricKeyDetails?.namedCurve]).to.deep.equal(['ec', curves[asked.size]])
      })

      it('its renewal is one rotation through all stages to the end; no request fails, and nothing of the former root is left', async () => {
        const [former, before] = [await network.fleet(), await kept()]
        const recorder = await recordRotation(network.store)
        const running = load(network, undefined, {streams: false, reconnects: true})
        await network.kubectl(renewNow(new Date()))
        await until(network, 'cert-manager to renew it', async () => (await kept()).certificate !== before.certificate)
        const renewed = await kept()
        expect(publicKey(renewed.key) === publicKey(before.key), 'the key is the former one').to.equal(asked.rotationPolicy === 'Never')
        await untilRotatedTo(recorder, async () => renewed.certificate)
        recorder.stop()
        expectOneRotation(recorder, 'root', former)
        await expectForgotten(network, former, await network.fleet())
        await untilReachable(network)
        expect(await running.stop()).to.be.greaterThan(100)
      })

      it('nothing is rotated where cert-manager, or another tool, writes the Secret again with the same certificate', async () => {
        const {certificate} = await kept()
        const recorder = await recordRotation(network.store)
        await network.kubectl(['annotate', 'secret', AUTHORITY_SECRET, 'example.org/touched=yes'])
        // cert-manager writes its template into the Secret, and issues nothing.
        const template = {labels: {'goatlas.io/authority': 'root', 'example.org/team': 'net'}}
        await network.kubectl([
          'patch',
          'certificate',
          'authority',
          '--type=merge',
          '-p',
          JSON.stringify({spec: {secretTemplate: template}}),
        ])
        const isWritten = async (): Promise<boolean> =>
          (await network.get(`secrets/${AUTHORITY_SECRET}`))?.metadata.labels?.['example.org/team'] === 'net'
        await until(network, 'cert-manager to write its template', isWritten)
        const [controller] = network.controllers
        await controller?.stop()
        await controller?.start()
        await controller?.untilReady()
        await sleep(3000)
        recorder.stop()
        expect((await kept()).certificate).to.equal(certificate)
        const {beginnings, trusted} = recorder.history()
        expect(beginnings).to.deep.equal([])
        expect(trusted.roots).to.deep.equal([certificate])
      })

      it('a renewal that lives for an hour is refused, named on its Secret, and changes nothing; the next one, which lives long, is one rotation', async () => {
        const {certificate} = await kept()
        const recorder = await recordRotation(network.store)
        await network.kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', livingFor(1, {anyAge: false})])
        await until(network, 'cert-manager to issue it again', async () => (await kept()).certificate !== certificate)
        const events = ['get', 'events', '-o', 'jsonpath={range .items[?(@.reason=="NotTaken")]}{.message}{end}']
        const isNamed = async (): Promise<boolean> => /Secret atlas-authority .*goatlas\.io\/any-age/.test(await network.kubectl(events))
        await until(network, 'an Event on the Secret', isNamed)
        expect([recorder.fleet().rotation, isRoot(recorder.fleet(), certificate)]).to.deep.equal([undefined, true])

        await network.kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', livingFor(87_600, {anyAge: false})])
        await untilRotatedTo(recorder, async () => (await kept()).certificate)
        recorder.stop()
        expect(recorder.history().beginnings).to.have.length(1)
        expect(recorder.history().trusted.roots).to.deep.equal([certificate, (await kept()).certificate])
      })

      if (asked.issuer === 'company')
        it('a CA of the company that is renewed changes nothing until the intermediate is issued again below it, which is one rotation', async () => {
          const [{certificate}, former] = [await kept(), await kept('company')]
          const recorder = await recordRotation(network.store)
          await network.kubectl(renewNow(new Date(), 'company'))
          await until(network, 'the CA to be renewed', async () => (await kept('company')).certificate !== former.certificate)
          await sleep(2000)
          expect([recorder.fleet().rotation, (await kept()).certificate]).to.deep.equal([undefined, certificate])

          await network.kubectl(renewNow(new Date()))
          await until(network, 'the intermediate to be issued again', async () => (await kept()).certificate !== certificate)
          const [present, ca] = [await kept(), await kept('company')]
          expect(present.above).to.equal(ca.certificate).and.not.equal(former.certificate)
          expect(new X509Certificate(present.certificate).checkIssued(new X509Certificate(ca.certificate))).to.equal(true)
          await untilRotatedTo(recorder, async () => (await kept()).certificate)
          recorder.stop()
          expect(recorder.history().beginnings).to.have.length(1)
          expect(recorder.history().trusted.roots).to.deep.equal([certificate, present.certificate])
          await untilReachable(network)
        })

      it('renewals during a rotation wait for its end; the last one is then the root', async () => {
        const recorder = await recordRotation(network.store)
        const running = load(network, undefined, {streams: false, reconnects: true})
        const first = await kept()
        await network.kubectl(['patch', 'certificate', 'authority', '--type=merge', '-p', renewedAfter(5)])
        const takenRoot = (): string | undefined => recorder.fleet().authority.get('nextRoot')?.certificate
        await until(network, 'a rotation', () => takenRoot() !== undefined)
        const taken = takenRoot()
        await until(network, 'another renewal', async () => ![first.certificate, taken].includes((await kept()).certificate))
        await network.kubectl(['patch', 'certificate', 'authority', '--type=json', '-p', '[{"op": "remove", "path": "/spec/renewBefore"}]'])
        await untilRotatedTo(recorder, async () => (await kept()).certificate)
        recorder.stop()
        const {beginnings, stages, trusted} = recorder.history()
        expect(beginnings, 'the first renewal, and the last one').to.have.length(2)
        expect(stages).to.deep.equal(['announce', 'credentials', 'leaves', 'retire', 'announce', 'credentials', 'leaves', 'retire'])
        expect(trusted.roots).to.deep.equal([first.certificate, taken, (await kept()).certificate])
        await untilReachable(network)
        expect(await running.stop()).to.be.greaterThan(100)
      })
    })
})
