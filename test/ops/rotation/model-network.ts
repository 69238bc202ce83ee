/** A fleet with Envoys and servers in a few words each: they take what the store holds when they are told to, and report what they have. */
import {adsTrustSecret, identitySecret, trustSecret} from '../../../src/lib/envoy/secret.js'
import type {CertifiedKey, TrustBundle} from '../../../src/lib/model/authority.js'
import {type Change, reduce, reduceAll} from '../../../src/lib/model/change.js'
import {type Fleet, recordOf, registeredNames} from '../../../src/lib/model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../../src/lib/model/names.js'
import type {AbsentNode, ProxyReport} from '../../../src/lib/model/report.js'
import type {RotationPart, RotationStage} from '../../../src/lib/model/rotation.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {type Renewals, planRenewals} from '../../../src/lib/ops/renewals.js'
import type {Evidence} from '../../../src/lib/ops/rotation/evidence.js'
import {planBeginning} from '../../../src/lib/ops/rotation/plan.js'
import {readCertificates, readKey} from '../../../src/lib/pki/read.js'
import {identitiesDigest} from '../../../src/lib/pki/identities-digest.js'
import {trustDigest} from '../../../src/lib/pki/trust-digest.js'
import {type TestDependencies, testFleet, testSettings} from '../../helpers/dependencies.js'

/** What one Envoy has: of its files, and of what the server has sent. */
interface ModelEnvoy {
  readonly owner: Owner
  /** Of its node. */
  id: string
  isConnected: boolean
  /** The credential in its files, and the one of its open stream. */
  files: {sha256: string; roots: string}
  stream: string
  trust: TrustBundle
  identity: string
  /** The subject of the issuer of its identity: of two certificates of that one, either will do. */
  identityIssuer: string
  refuses?: string
}

export class ModelNetwork {
  fleet: Fleet
  readonly dependencies: TestDependencies
  readonly envoys: ModelEnvoy[]
  /** Fingerprint of the identity with which the observability Envoy's connection to the servers began. */
  relayedBy = ''
  /** Nodes that were connected lately, as servers report them. */
  absent: readonly AbsentNode[] = []
  /** What each server's port uses, and which identities it sends. */
  readonly servers = new Map<string, {certificate: string; trust: string; identities: string | undefined}>()

  constructor(dependencies: TestDependencies, clusters: readonly string[]) {
    this.dependencies = dependencies
    this.fleet = testFleet(dependencies, clusters, testSettings)
    this.envoys = this.owners().map(owner => ({owner, id: `${owner}-0`, isConnected: true, ...this.#present(owner)}))
    this.serve()
    this.acknowledge()
  }

  /** Where the rotation is, and what it waits for. */
  get stage(): RotationStage | undefined {
    return this.fleet.rotation?.stage
  }

  get waiting(): readonly string[] {
    return this.fleet.rotation?.waitingFor ?? []
  }

  begin(part: RotationPart, skip: readonly string[] = []): void {
    const owners = this.owners().filter(owner => skip.includes(owner))
    this.fleet = reduceAll(this.fleet, planBeginning(this.fleet, testSettings, part, {...this.dependencies, skip: owners}))
  }

  owners(): readonly Owner[] {
    return [OBSERVABILITY, ...registeredNames(this.fleet)]
  }

  envoy(owner: string): ModelEnvoy {
    const envoy = this.envoys.find(each => each.owner === owner)
    if (envoy === undefined) throw new Error(`${owner} has no Envoy`)
    return envoy
  }

  /** Every server uses what is stored. */
  serve(names: readonly string[] = ['ads-0', 'ads-1']): void {
    const {server, trust} = this.fleet
    if (server === undefined || trust === undefined) throw new Error('nothing to serve with')
    const tls = {certificate: readKey(server).sha256, trust: trustDigest(trust), identities: identitiesDigest(this.fleet.identities)}
    for (const name of names) this.servers.set(name, tls)
  }

  /** Connected Envoys take what is sent to them. */
  acknowledge(owners: readonly string[] = this.owners()): void {
    if (owners.includes(OBSERVABILITY)) this.relayedBy = readKey(this.#identityOf(OBSERVABILITY)).sha256
    for (const envoy of this.envoys) {
      if (!envoy.isConnected || envoy.refuses !== undefined || !owners.includes(envoy.owner)) continue
      const {trust, identity, identityIssuer} = this.#present(envoy.owner)
      Object.assign(envoy, {trust, identity, identityIssuer})
    }
  }

  /** Someone puts the credential that is in the store into the Envoy's files, and the Envoy connects again. */
  apply(owners: readonly string[] = this.owners()): void {
    for (const envoy of this.envoys)
      if (owners.includes(envoy.owner)) {
        envoy.files = this.#present(envoy.owner).files
        envoy.stream = envoy.files.sha256
      }
  }

  evidence(): Evidence {
    return {
      proxies: this.envoys.filter(({isConnected}) => isConnected).map(envoy => this.#report(envoy)),
      absent: this.absent,
      servers: [...this.servers].map(([name, {identities, ...tls}]) => ({
        name,
        tls: {...tls, ...(identities !== undefined && {identities})},
      })),
    }
  }

  /** What the leader plans in one pass. */
  plan(): readonly Change[] {
    return planReconcile(this.fleet, this.dependencies, {renewals: this.#renewals(), evidence: this.evidence()})
  }

  /** One pass of the leader; the network is looked at after each of its changes. @returns the changes */
  pass(): readonly Change[] {
    const changes = this.plan()
    for (const change of changes) {
      this.fleet = reduce(this.fleet, change)
      this.requireWorking()
    }

    return changes
  }

  /** Passes, between which everything is taken up, until a stage begins: nothing of it is done then. */
  reach(stage: RotationStage, passes = 60): void {
    for (let pass = 0; pass < passes; pass += 1) {
      this.pass()
      if (this.stage === stage) return
      this.serve()
      this.acknowledge()
    }

    throw new Error(`${stage} has not begun after ${passes} passes: ${this.waiting.join('; ')}`)
  }

  /** Passes until nothing is planned any more, between which everything is taken up. */
  settle(passes = 60): void {
    for (let pass = 0; pass < passes; pass += 1) {
      this.serve()
      this.acknowledge()
      if (this.pass().length === 0) return
      this.dependencies.pass(2)
    }

    throw new Error(`not settled after ${passes} passes: ${this.fleet.rotation === undefined ? 'no rotation' : this.waiting.join('; ')}`)
  }

  /** Throws where an Envoy that is connected would refuse what another one, or a server, shows, or be refused by a server. */
  requireWorking(): void {
    const {server, trust} = this.fleet
    const observability = this.envoy(OBSERVABILITY)
    for (const envoy of this.envoys) {
      if (!envoy.isConnected) continue
      // An identity in the store is with its own Envoys at any moment now: both it and the present one must be trusted by the other side.
      const stored = this.#present(envoy.owner).identityIssuer
      for (const issuer of [envoy.identityIssuer, stored]) {
        const [from, to] = envoy.owner === OBSERVABILITY ? [envoy, this.envoys] : [envoy, [observability]]
        for (const peer of to)
          if (peer.isConnected && !subjects(peer.trust.issuers).includes(issuer))
            throw new Error(`${peer.owner} would refuse the identity of ${from.owner}`)
      }

      const credential = recordOf(this.fleet, envoy.owner).credentials.find(({sha256}) => sha256 === envoy.stream)
      if (credential?.state !== 'valid') throw new Error(`the credential of ${envoy.owner} is not on record`)
      if (server === undefined || trust === undefined) continue
      const roots = readCertificates(envoy.files.roots).map(({subject}) => subject)
      const issuers = readCertificates(trust.issuers.join(''))
      const issuer = issuers.find(({subject}) => subject === readKey(server).issuer)
      // The issuer may be the root itself.
      if (issuer === undefined || ![issuer.issuer, issuer.subject].some(name => roots.includes(name)))
        throw new Error(`${envoy.owner} would refuse the certificate of a server`)
      if (envoy.owner === OBSERVABILITY) continue
      for (const shown of [observability.identityIssuer, this.#present(OBSERVABILITY).identityIssuer]) {
        const by = issuers.find(({subject}) => subject === shown)
        if (by === undefined || ![by.issuer, by.subject].some(name => roots.includes(name)))
          throw new Error(`${envoy.owner} would refuse the observability Envoy when it connects to a server`)
      }
    }
  }

  #renewals(): Renewals {
    const evidence = this.evidence()
    return planRenewals(this.fleet, testSettings, this.dependencies.now(), {
      ...{proxies: evidence.proxies, evidence, isClockConfirmed: true, renewedBefore: new Set<Owner>(), acknowledgeMs: 120_000},
    })
  }

  #report({owner, id, stream, trust, identity, refuses}: ModelEnvoy): ProxyReport {
    return {
      ...{cluster: owner, id, sequence: 1, variant: 'delta', path: 'relay', connectedSince: '2026-11-23T00:00:00.000Z'},
      types: refuses === undefined ? [] : [{type: 'Secret', state: 'nack', sent: 2, acknowledged: 1, nack: refuses}],
      ...(owner !== OBSERVABILITY && {relayedBy: this.relayedBy}),
      credential: {sha256: stream},
      identity: {version: identity},
      trust: trustSecret(trust).version,
      ...(owner === OBSERVABILITY && {adsTrust: adsTrustSecret(trust).version}),
      equalIds: 1,
    }
  }

  #identityOf(owner: Owner): CertifiedKey {
    const identity = this.fleet.identities.get(owner)
    if (identity === undefined) throw new Error(`${owner} has no identity`)
    return identity
  }

  #present(owner: Owner): Omit<ModelEnvoy, 'id' | 'isConnected' | 'owner' | 'refuses'> {
    const {trust, identities, credentials} = this.fleet
    const [identity, credential] = [identities.get(owner), credentials.get(owner)]
    if (trust === undefined || identity === undefined || credential === undefined) throw new Error(`${owner} lacks something`)
    const {sha256} = readKey(credential)
    return {
      files: {sha256, roots: credential.roots},
      stream: sha256,
      trust,
      identity: identitySecret(identity).version,
      identityIssuer: readKey(identity).issuer,
    }
  }
}

function subjects(certificates: readonly string[]): readonly string[] {
  return certificates.map(pem => readCertificates(pem)[0]?.subject ?? '')
}
