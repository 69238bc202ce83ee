/** An installation whose root goatlas made (RSA-4096): real Envoys trust the root, and no certificate that goatlas issued. */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {probeTls} from '../../src/demo/lab/tls-probe.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import {parseCertificates} from '../../src/lib/pki/pem.js'
import {type GoatlasAuthority, goatlasAuthority} from '../helpers/goatlas.js'
import {goatlasObjects} from '../helpers/goatlas-objects.js'
import {until, untilReachable, untilSynced} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'
import {adsPort, impersonate, probeLogged, serverPort, sidecarPort} from './mtls-ports.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]

describe('e2e: an adopted root', function () {
  this.timeout(240_000)
  let network: Network
  let goatlas: GoatlasAuthority

  before(async () => {
    goatlas = goatlasAuthority()
    const found = async (folder: string): Promise<void> => {
      await mkdir(folder, {recursive: true, mode: 0o700})
      for (const manifest of goatlasObjects(goatlas, ['secrets']))
        await writeFile(path.join(folder, `secret-${manifest.metadata.name}.yaml`), renderYaml(manifest), {mode: 0o600})
    }
    network = await openNetwork({clusters: [paris, lyon], found})
  })
  after(() => closeNetwork(network))

  it('every Envoy gets its configuration and every call its answer', async () => {
    await untilSynced(network)
    await untilReachable(network)
    const {trust} = await network.store.load()
    expect(trust?.roots).to.have.length(2)
    expect(trust?.roots[0]).to.equal(String(parseCertificates(goatlas.ca.certificate)[0]))
  })

  it('an Envoy whose bootstrap has only the old certificate of the root is admitted, and so is one with only the new', async () => {
    const {trust} = await network.store.load()
    const {envoy} = network.member(lyon)
    for (const root of trust?.roots ?? []) {
      await envoy.kill()
      await writeFile(path.join(envoy.folder, 'certs', 'ca.crt'), root, {mode: 0o600})
      await envoy.start()
      await envoy.untilReady()
      await untilReachable(network, [lyon])
    }

    await envoy.kill()
    await envoy.writeFiles()
    await envoy.start()
    await untilReachable(network, [lyon])
  })

  it('the client certificate of the goatlas fleet is refused everywhere, though the root signed it', async () => {
    const fleet = await network.store.load()
    const {client, server} = goatlas
    for (const target of [adsPort(network, fleet), sidecarPort(network, fleet, paris)])
      for (const certificate of [client, server]) {
        const {bytes, failure} = await probeLogged(network, target, {certificate})
        expect(bytes).to.equal(0)
        expect(failure).to.match(/unable_to_get_local_issuer_certificate|unsupported_certificate_purpose/)
      }

    expect((await probeTls(serverPort(network, fleet), {certificate: client})).bytes).to.equal(0)
    expect((await probeTls(sidecarPort(network, fleet, paris), {certificate: identityIn(fleet, OBSERVABILITY)})).bytes).to.be.greaterThan(0)
  })

  it('its one server certificate is refused by every Envoy, though every bootstrap trusts the root that signed it', async () => {
    const believesNobody = async (port: number, impostor: CertifiedKey): Promise<void> => {
      const found = await impersonate({host: network.address, port}, impostor)
      try {
        await until(network, 'a client to connect', () => found.refusals().length >= 3)
        expect(found.believers()).to.equal(0)
        for (const refusal of found.refusals()) expect(refusal).to.match(/ALERT_(UNKNOWN_CA|CERTIFICATE_UNKNOWN)$/)
      } finally {
        await found.close()
      }
    }
    await network.observability.kill()
    await believesNobody(10_900, goatlas.server)
    await network.observability.start()
    await network.observability.untilReady()
    await network.server().kill()
    await believesNobody(6305, goatlas.server)
    await untilReachable(network, [paris, lyon])
    await network.startServer()
    await untilSynced(network)
  })
})
