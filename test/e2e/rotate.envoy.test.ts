/** Certificates are replaced under load: leaves by command and automatically, the ADS credential through its files; no request fails. */
import {expect} from 'chai'
import {unlink} from 'node:fs/promises'
import path from 'node:path'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {credentialIn, identityIn} from '../../src/demo/lab/certificates.js'
import {dependencies} from '../../src/lib/cli/base-command.js'
import {type Owner, OBSERVABILITY, objectNames, parseClusterName} from '../../src/lib/model/names.js'
import {rotateLeaves} from '../../src/lib/ops/rotate.js'
import {readKey} from '../../src/lib/pki/read.js'
import {streamCall} from './backend.js'
import {type RunningLoad, load} from './load.js'
import {hostOf, queryAddress, reportOf, until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {adsPort, sidecarPort} from './mtls-ports.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const owners: readonly Owner[] = [OBSERVABILITY, paris, lyon]

/** Seconds; two thirds of it later a leaf is renewed. */
const LEAF = 15

/** Seconds; a credential is used when a connection begins, and its stream ends a tenth later. */
const ADS_CONNECTION = 4

describe('e2e: rotation', function () {
  this.timeout(240_000)
  let network: Network
  let running: RunningLoad
  let stream: ReturnType<typeof callOnce>
  /** The serials that the store holds after `rotate`. */
  let rotated: Readonly<Record<string, string>>

  before(async () => {
    network = await openNetwork({
      clusters: [paris, lyon],
      // Identities live shorter than the time for which a clock must have held before all of them are renewed.
      times: {'clock-held': '1s'},
      settings: {lifetimes: {identity: LEAF}, timeouts: {adsConnection: ADS_CONNECTION}},
    })
    await untilReachable(network)
    running = load(network)
    stream = callOnce(openPlain(queryAddress(network)), streamCall(hostOf(lyon), 17))
    stream.catch(() => undefined)
  })
  after(() => closeNetwork(network))

  async function stored(): Promise<Readonly<Record<string, string>>> {
    const fleet = await network.store.load()
    return Object.fromEntries(owners.map(owner => [owner, plainSerial(readKey(identityIn(fleet, owner)).serial)]))
  }

  function envoyOf(owner: Owner): Network['observability'] {
    return owner === OBSERVABILITY ? network.observability : network.member(owner).envoy
  }

  async function shows(owner: Owner, serial: string | undefined): Promise<boolean> {
    return (await certificatesOf(envoyOf(owner).admin)).some(certificate => certificate.serial === serial)
  }

  /** Waits until every Envoy shows the certificates that the store holds, and no earlier one. */
  async function untilShown(before: Readonly<Record<string, string>>, seconds?: number): Promise<void> {
    for (const owner of owners) {
      const isNew = async (): Promise<boolean> => {
        const now = await stored()
        return now[owner] !== before[owner] && (await shows(owner, now[owner])) && !(await shows(owner, before[owner]))
      }
      await until(network, `${owner} to show a new leaf`, isNew, seconds)
    }
  }

  it('all leaves are replaced, and every Envoy shows only the new one, also to new connections', async () => {
    const before = await stored()
    await rotateLeaves(network.store, [], dependencies)
    await untilShown(before)
    rotated = await stored()
    const fleet = await network.store.load()
    const targets = [
      {target: adsPort(network, fleet), rightful: credentialIn(fleet, paris), owner: OBSERVABILITY},
      {target: sidecarPort(network, fleet, paris), rightful: identityIn(fleet, OBSERVABILITY), owner: paris},
    ]
    for (const {target, rightful, owner} of targets) {
      // Leaves are renewed after ten seconds, which may be over: what the store has is read again for each look.
      await until(network, `${owner} to show its leaf to a new connection`, async () => {
        const {bytes, serial = ''} = await probeTls(target, {certificate: rightful})
        return bytes > 0 && plainSerial(serial) === (await stored())[owner]
      })
    }
  })

  it('an ADS credential is replaced in its files while its Envoy runs, which reconnects with the new one', async () => {
    const {envoy} = network.member(paris)
    const old = credentialIn(await network.store.load(), paris)
    const [pid, before] = [envoy.pid(), readKey(old)]
    await unlink(path.join(network.folder, 'store', `secret-${objectNames.credential(paris)}.yaml`))
    const issued = async () => (await network.store.load()).credentials.get(paris)
    await until(network, 'a new credential to be issued', async () => {
      const found = await issued()
      return found !== undefined && readKey(found).serial !== before.serial
    })
    const after = readKey((await issued()) ?? expect.fail('no credential'))
    await envoy.writeFiles()
    await until(
      network,
      'the Envoy to hold it',
      async () => (await shows(paris, plainSerial(after.serial))) && !(await shows(paris, plainSerial(before.serial))),
    )

    const seenWith = async (): Promise<string | undefined> =>
      (await reportOf(network)).proxies.find(({cluster}) => cluster === paris)?.credential.sha256
    await until(network, 'the Envoy to come with it', async () => (await seenWith()) === after.sha256)
    expect(envoy.pid()).to.equal(pid)
    await untilSynced(network)
  })

  it('leaves are renewed automatically, all of them, before they expire', async () => {
    await untilShown(rotated, LEAF)
    const fleet = await network.store.load()
    for (const owner of owners) expect(readKey(identityIn(fleet, owner)).notAfter.getTime()).to.be.greaterThan(Date.now())
  })

  it('meanwhile no request failed, no stream broke, and one that was silent for longer than the 15 s of Envoy ended normally', async () => {
    const {grpcStatus, messages} = await stream
    expect({grpcStatus, messages: messages.map(String)}).to.deep.equal({grpcStatus: 0, messages: ['begin', 'end']})
    expect(await running.stop()).to.be.greaterThan(500)
  })
})
