/**
 * What had ended before a person looked. A server that was down until every identity, its own certificate and the issuer had ended issues all
 * again at its start, in the right order. Where the root has ended, a person has it replaced, and does what the command says.
 */
import {expect} from 'chai'
import {identityIn} from '../../src/demo/lab/certificates.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {type Owner, OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {rootSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {readKey} from '../../src/lib/pki/read.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {applyAsTold, atlasIn} from './by-hand.js'
import {until, untilReachable, untilSynced, whoAnswers} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const owners: readonly Owner[] = [OBSERVABILITY, paris]

/** Seconds. The issuer ends after the server was stopped; the root of the other network ends meanwhile. */
const [IDENTITY, ISSUER, ROOT] = [10, 30, 60]

describe('e2e: certificates that have ended', function () {
  this.timeout(300_000)
  let network: Network
  let ending: Network
  let root: CertifiedKey

  before(async () => {
    // What is overdue is looked at again once the clock is confirmed.
    const times = {'clock-held': '1s', 'clock-look': '500ms', overdue: '1s', rotation: '200ms', 'connection-age': '3s', 'max-age': '3s'}
    const timeouts = {adsConnection: 3, thanosConnection: 3}
    network = await openNetwork({clusters: [paris], times, settings: {lifetimes: {identity: IDENTITY, issuer: ISSUER}, timeouts}})
    root = issue({...rootSpec(defaultSettings), lifetime: ROOT}, undefined, new Date(), cryptoSigner)
    const outside = {root: {...root, name: 'the root', anyAge: true}}
    ending = await openNetwork({clusters: [paris, lyon], outside, times, settings: {timeouts}})
    await untilReachable(network)
    await untilReachable(ending)
  })
  after(async () => {
    await closeNetwork(ending)
    await closeNetwork(network)
  })

  it('while no server ran are issued again: the issuer first, then what it signs, and the network is whole without a restart of an Envoy', async () => {
    const before = await network.store.load()
    await network.server().kill()
    const issuer = readKey(before.authority.get('issuer') ?? expect.fail('no issuer'))
    await until(network, 'the issuer to end', () => issuer.notAfter.getTime() < Date.now(), ISSUER + 5)
    await until(network, 'the network to be down', async () => (await whoAnswers(network, paris)).startsWith('gRPC status'))
    const pids = owners.map(owner => (owner === OBSERVABILITY ? network.observability : network.member(paris).envoy).pid())

    await network.startServer()
    await untilReachable(network, [paris], 40)
    await untilSynced(network)
    const after = await network.store.load()
    expect(readKey(after.authority.get('issuer') ?? expect.fail('no issuer')).sha256).not.to.equal(issuer.sha256)
    for (const owner of owners) {
      const envoy = owner === OBSERVABILITY ? network.observability : network.member(paris).envoy
      // The server goes on to issue it again every few seconds: what the store has is read again for each look.
      await until(network, `${owner} to show its new identity, which is valid`, async () => {
        const {serial, notAfter} = readKey(identityIn(await network.store.load(), owner))
        const isShown = (await certificatesOf(envoy.admin)).some(certificate => certificate.serial === plainSerial(serial))
        return isShown && notAfter.getTime() > Date.now()
      })
    }

    expect(owners.map(owner => (owner === OBSERVABILITY ? network.observability : network.member(paris).envoy).pid())).to.deep.equal(pids)
  })

  it('with their root are named, with what to do; no request is answered', async () => {
    await until(ending, 'the root to end', () => readKey(root).notAfter.getTime() < Date.now(), ROOT)
    for (const cluster of [paris, lyon])
      await until(ending, 'the network to be down', async () => (await whoAnswers(ending, cluster)).startsWith('gRPC status'))
    const named =
      /the root \(Secret atlas-ca\) cannot sign: it ended on .*: "atlas rotate --root[^"]*" makes another root, with all below it/
    await until(ending, 'status to name it', async () => named.test((await atlasIn(ending, 'status')).stdout.replaceAll(/\s+/g, ' ')))
  })

  it('with their root are replaced by what the command has applied by hand, in its order; it then shows that nothing of them is left', async () => {
    const plan = await atlasIn(ending, 'rotate', '--root', '--dry-run')
    expect(plan.code, plan.stderr).to.equal(0)
    expect(plan.stderr)
      .to.match(/^2\. credentials: .* no Envoy is waited for$/m)
      .and.match(/^3\. leaves: .* the first round by hand: /m)
      .and.match(/^4\. retire: .*: the second round by hand$/m)
      .and.match(/^By hand: in stage 3 of 4 \(leaves\), and again in stage 4 of 4 \(retire\)/m)
      .and.match(/^The second round is not urgent, /m)
    expect((await ending.store.load()).rotation, 'a rotation').to.equal(undefined)
    const begun = await atlasIn(ending, 'rotate', '--root', '--yes')
    expect(begun.code, begun.stderr).to.equal(0)
    expect(begun.stderr).to.contain('The present root has ended, so that no Envoy can connect: the first two stages do not wait.')
    expect(begun.stderr).to.contain('By hand: in stage 3 of 4 (leaves), and again in stage 4 of 4 (retire)')
    expect(begun.stderr).to.contain('The second round is not urgent, ')
    expect(await applyAsTold(ending, [OBSERVABILITY, lyon, paris])).to.deep.equal([OBSERVABILITY, lyon, paris])
    await until(ending, 'the last stage', async () => (await ending.store.load()).rotation?.stage === 'retire')
    expect(await applyAsTold(ending, [OBSERVABILITY, lyon, paris])).to.deep.equal([OBSERVABILITY, lyon, paris])
    const ended = await atlasIn(ending, 'rotate', '--root', '--yes', '--wait', '--timeout', '60s')
    expect(ended.code, ended.stderr).to.equal(0)
    expect(ended.stderr).to.contain('The root is replaced. Neither a bundle nor a server trusts the former one any more')
    await untilReachable(ending)
    await untilSynced(ending)
    const {trust, authority} = await ending.store.load()
    expect(trust?.roots)
      .to.deep.equal([authority.get('root')?.certificate])
      .and.not.to.include(root.certificate)
  })
})
