/**
 * What a rotation leaves of the certificates that it has replaced: nothing in any Envoy, no port that admits what they signed, and no Envoy that
 * believes a server with such a certificate. Each check is made of the present ones, too, which shows that it would see the former ones.
 */
import {readFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {credentialIn, identityIn} from '../../src/demo/lab/certificates.js'
import {bootstrapPaths} from '../../src/lib/envoy/credential-files.js'
import type {HostPort} from '../../src/lib/model/address.js'
import {type CertifiedKey, type TrustBundle, bundleFields} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type InternalPort, internalPorts} from '../../src/lib/model/internal-ports.js'
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import {ADS_PORT, ALERTS_PORT} from '../../src/lib/model/settings.js'
import {type CertificateFacts, readCertificates} from '../../src/lib/pki/read.js'
import {explainedRefusals} from '../helpers/refusals-page.js'
import type {TestEnvoy} from './envoy.js'
import {type Clients, type MtlsPort, everyPort, isAdmitted, refusalOf} from './every-port.js'
import {until} from './look.js'
import {type Impostor, impersonate} from './mtls-ports.js'
import type {Network} from './network.js'
import {envoysOf} from './rotating.js'
import type {Scene} from './scene.js'

/** Where an Envoy has a certificate: its `config_dump`, its page `/certs` of what its TLS contexts use, and the files of its credential. */
export interface Holding {
  readonly dump: boolean
  readonly use: boolean
  readonly files: boolean
}

/** @returns where that Envoy has each of these certificates, PEM, one each, in their order */
export async function holdingsOf(envoy: TestEnvoy, certificates: readonly string[]): Promise<readonly Holding[]> {
  const [dump, use, files] = await Promise.all([fingerprintsInDump(envoy), serialsInUse(envoy), fingerprintsInFiles(envoy)])
  return certificates
    .map(pem => factsOf(pem))
    .map(({sha256, serial}) => ({dump: dump.has(sha256), use: use.has(plainSerial(serial)), files: files.has(sha256)}))
}

/** What each Envoy must have of a bundle at least. */
const required: Readonly<Record<keyof TrustBundle, Partial<Holding>>> = {
  roots: {dump: true, use: true, files: true},
  issuers: {dump: true, use: true},
  // In the chain of its credential.
  credentialIssuers: {dump: true, files: true},
}

/** Each of these Envoys has the certificates of a bundle, by every way in which `expectForgotten` looks for those that have retired. */
export async function expectHeld(scene: Scene, trust: TrustBundle, envoys: readonly TestEnvoy[] = envoysOf(scene)): Promise<void> {
  // Of two credential issuers the later one signs.
  const held = {...trust, credentialIssuers: trust.credentialIssuers.slice(-1)}
  for (const envoy of envoys)
    for (const field of Object.values(bundleFields))
      for (const holding of await holdingsOf(envoy, held[field])) expect(holding, `${envoy.owner}: ${field}`).to.include(required[field])
}

/** No Envoy has a certificate of the former bundle that has left the present one, and each has the present ones. */
export async function expectForgotten(
  scene: Scene,
  former: Fleet,
  present: Fleet,
  envoys: readonly TestEnvoy[] = envoysOf(scene),
): Promise<void> {
  if (former.trust === undefined || present.trust === undefined) throw new Error('there is no trust bundle')
  const trusted = allOf(present.trust)
  const retired = allOf(former.trust).filter(pem => !trusted.includes(pem))
  expect(retired.length, 'retired certificates').to.be.greaterThan(0)
  for (const envoy of envoys)
    await until(scene, `${envoy.owner} to have none of the former certificates`, async () =>
      (await holdingsOf(envoy, retired)).every(({dump, use, files}) => !dump && !use && !files),
    )
  await expectHeld(scene, present.trust, envoys)
}

/**
 * What rightful clients had before a rotation opens no port now, for the reason that its signer is not trusted, and what they have now does. Left out
 * is a port whose clients another authority signs, which was not replaced.
 * @returns the ports that were tried
 */
export async function expectRefused(network: Network, former: Fleet, clients: Clients): Promise<readonly number[]> {
  const present = await network.store.load()
  const explained = [...explainedRefusals().values()].flat()
  const tried: number[] = []
  for (const port of everyPort(network, present, clients)) {
    const replaced = formerOf(port, {former, present, clients})
    if (replaced === undefined) continue
    const text = port.envoy === undefined ? 'tls-certificate-untrusted' : 'unable_to_get_local_issuer_certificate'
    expect((await refusalOf(network, port, replaced))?.join(' '), String(port.port)).to.include(text)
    expect(explained).to.include(text)
    expect(await isAdmitted(port, port.admits), String(port.port)).to.equal(true)
    tried.push(port.port)
  }

  return tried
}

/** Envoys that connect there end the handshake with a server that shows the former certificate, and go on with one that shows the present one. */
export async function expectDisbelieved(scene: Scene, at: HostPort, former: CertifiedKey, present: CertifiedKey): Promise<void> {
  await impersonating(at, former, async impostor => {
    await until(scene, `an Envoy to refuse who answers at ${at.port}`, () => impostor.refusals().length >= 2)
    expect(impostor.believers(), `${at.port}: Envoys that believe the former certificate`).to.equal(0)
  })
  await expectBelieved(scene, at, present)
}

/** An Envoy that connects there believes a server that shows this certificate. */
export async function expectBelieved(scene: Scene, at: HostPort, shown: CertifiedKey): Promise<void> {
  await impersonating(at, shown, async impostor => {
    await until(scene, `an Envoy to believe who answers at ${at.port}`, () => impostor.believers() > 0)
    expect(impostor.refusals(), String(at.port)).to.deep.equal([])
  })
}

function allOf({roots, issuers, credentialIssuers}: TrustBundle): readonly string[] {
  return [...roots, ...issuers, ...credentialIssuers]
}

function factsOf(pem: string): CertificateFacts {
  const [facts, ...others] = readCertificates(pem)
  if (facts === undefined || others.length > 0) throw new Error('one certificate each')
  return facts
}

async function fingerprintsInDump(envoy: TestEnvoy): Promise<ReadonlySet<string>> {
  return fingerprintsIn(textsIn(JSON.parse(await envoy.page('/config_dump')) as unknown))
}

async function fingerprintsInFiles({folder}: TestEnvoy): Promise<ReadonlySet<string>> {
  const files = [bootstrapPaths.certificate, bootstrapPaths.roots].map(async file => readFile(path.join(folder, file), 'utf8'))
  return fingerprintsIn(await Promise.all(files))
}

interface AdminCertificates {
  readonly certificates?: readonly Readonly<Partial<Record<'ca_cert' | 'cert_chain', readonly {readonly serial_number: string}[]>>>[]
}

async function serialsInUse(envoy: TestEnvoy): Promise<ReadonlySet<string>> {
  const {certificates = []} = JSON.parse(await envoy.page('/certs')) as AdminCertificates
  const shown = certificates.flatMap(({ca_cert: anchors = [], cert_chain: chain = []}) => [...anchors, ...chain])
  return new Set(shown.map(({serial_number: serial}) => plainSerial(serial)))
}

/** All text in a page: what came by SDS is there as it is, and what Envoy has read from a file in base64. */
function textsIn(value: unknown, key = ''): readonly string[] {
  if (typeof value === 'string') return [key === 'inline_bytes' ? Buffer.from(value, 'base64').toString() : value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([inner, each]) => textsIn(each, inner))
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function fingerprintsIn(texts: readonly string[]): ReadonlySet<string> {
  const certificates = texts.flatMap(text => text.match(PEM) ?? [])
  return new Set(certificates.map(pem => factsOf(pem).sha256))
}

/** 6305 admits credentials, and the identity of the observability Envoy, by which a rotation of the issuer alone is seen. */
function formerOf(
  {port, signer}: MtlsPort,
  {former, present, clients}: {readonly former: Fleet; readonly present: Fleet; readonly clients: Clients},
): CertifiedKey | undefined {
  const isReplaced = former.trust?.[bundleFields[signer]].join('') !== present.trust?.[bundleFields[signer]].join('')
  if (signer === 'credentialIssuer') {
    if (isReplaced) return credentialIn(former, clients.cluster)
    return port === ADS_PORT ? identityIn(former, OBSERVABILITY) : undefined
  }

  if (!isReplaced) return undefined
  if (port === ALERTS_PORT) return identityIn(former, clients.cluster)
  if (!internalPorts.includes(port as InternalPort)) return identityIn(former, OBSERVABILITY)
  const client = clients.internal && former.clients.get(clients.internal)
  if (client === undefined) throw new Error('there was no client of the internal ports')
  return client
}

async function impersonating(at: HostPort, shown: CertifiedKey, act: (impostor: Impostor) => Promise<void>): Promise<void> {
  const impostor = await impersonate(at, shown)
  try {
    await act(impostor)
  } finally {
    await impostor.close()
  }
}
