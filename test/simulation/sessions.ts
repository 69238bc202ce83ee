/**
 * Real ADS sessions beside the streams of a simulation: each Envoy is sent what production builds, answers, and then has, and is reported
 * with, what the model says. What the model says is in envoys.ts.
 */
import {type MessageInitShape, create, fromBinary} from '@bufbuild/protobuf'
import {SecretSchema} from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {DeltaDiscoveryRequestSchema, type DeltaDiscoveryResponse} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {envoyNames} from '../../src/lib/model/names.js'
import {type Node, parseNode} from '../../src/lib/model/node.js'
import type {ProxyReport} from '../../src/lib/model/report.js'
import {readKey} from '../../src/lib/pki/read.js'
import {type Input, type Session, type UnacknowledgedByType, openSession, step, unacknowledged} from '../../src/lib/xds/session.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import type {Admitted} from '../../src/server/ads/admission.js'
import type {Stream as OpenStream} from '../../src/server/ads/stream.js'
import {type ProxyReporter, openProxyReporter} from '../../src/server/proxies/proxy-report.js'
import {type Envoy, type SecretName, type Stream, type Taken, secretsOf, versionOf} from './envoys.js'
import {Violation} from './invariants.js'
import type {StreamChecks} from './network.js'
import type {Server} from './servers.js'

/** Each resource comes in a response of its own, so that an Envoy can answer some and not others. */
const PART_BYTES = 1

export class Sessions implements StreamChecks {
  /** How many responses were answered, and how many of them refused. */
  answered = 0
  refused = 0
  readonly #ends = new Map<Envoy, End>()
  readonly #reporters = new Map<Server, ProxyReporter>()

  opened(envoy: Envoy, stream: Stream, server: Server, now: Date): void {
    const end = this.#ends.get(envoy) ?? new End(envoy)
    this.#ends.set(envoy, end)
    end.open(stream, server, now)
  }

  given(envoy: Envoy, server: Server, now: Date): void {
    this.#ends.get(envoy)?.give(server, now)
  }

  closed(envoy: Envoy): void {
    this.#ends.get(envoy)?.close()
  }

  taken(envoy: Envoy, taken: Taken, now: Date): void {
    const end = this.#ends.get(envoy)
    if (end === undefined || envoy.stream === undefined) return
    const answered = end.answer(taken, now)
    this.answered += answered
    if (envoy.refuses) this.refused += answered
    end.requireHeld()
  }

  requireReported(envoy: Envoy, server: Server, report: ProxyReport): void {
    const reporter = this.#reporters.get(server) ?? openProxyReporter({served: () => server.seen})
    this.#reporters.set(server, reporter)
    const [model, real] = [shownBy(report), shownBy(this.#ends.get(envoy)?.report(reporter))]
    if (real !== model) throw new Violation(`${server.name} reports ${envoy.id} as ${real}, and the model as ${model}`)
  }
}

/** What a stage of a rotation, or a person, learns from a report. */
function shownBy(report: ProxyReport | undefined): string {
  if (report === undefined) return 'not connected'
  const {cluster, id, sequence, variant, path, relayedBy, connectedSince, credential, identity, trust, adsTrust, equalIds, types} = report
  const isRefused = types.some(({type, state}) => type === 'Secret' && state === 'nack')
  return JSON.stringify({
    ...{cluster, id, sequence, variant, path, relayedBy, connectedSince, equalIds, isRefused},
    ...{credential: credential.sha256, identity: identity?.version, trust, adsTrust},
  })
}

/** Both ends of the session of one Envoy. */
class End {
  readonly #envoy: Envoy
  readonly #node: Node
  #stream: Stream | undefined
  #session: Session | undefined
  /** Responses with a secret that are not answered. */
  #unread: DeltaDiscoveryResponse[] = []
  /** The secrets that the Envoy uses. */
  readonly #held = new Map<SecretName, {readonly version: string; readonly body: Uint8Array}>()
  /** What its streams have left unrepaired: the first snapshot of the next one takes it over. */
  #left: UnacknowledgedByType | undefined

  constructor(envoy: Envoy) {
    this.#envoy = envoy
    this.#node = parseNode({cluster: envoy.owner, id: envoy.id, metadata: {}})
  }

  open(stream: Stream, server: Server, now: Date): void {
    const {identity, trust, owner, id} = this.#envoy
    // Its process has begun again.
    if (identity === undefined) this.#held.delete('identity')
    if (trust === undefined) for (const name of ['trust', 'adsTrust'] as const) this.#held.delete(name)
    this.#stream = stream
    this.#session = openSession('delta', {maxPartBytes: PART_BYTES})
    this.give(server, now)
    for (const typeUrl of [typeUrls.cluster, typeUrls.listener]) this.#ask({node: {cluster: owner, id}, typeUrl}, now)
    const listed = Object.fromEntries([...this.#held].map(([name, {version}]) => [envoyNames[name], version]))
    const names = secretsOf(owner).map(name => envoyNames[name])
    this.#ask({typeUrl: typeUrls.secret, resourceNamesSubscribe: names, initialResourceVersions: listed}, now)
  }

  give({seen}: Server, now: Date): void {
    if (this.#session === undefined) return
    const built = buildSnapshot(seen, this.#node, this.#session.snapshot)
    if (built.kind === 'frozen' || built.snapshot === this.#session.snapshot) return
    const before = this.#left
    this.#left = undefined
    this.#step({kind: 'snapshot', snapshot: built.snapshot, ...(before !== undefined && {before})}, now)
  }

  close(): void {
    if (this.#session !== undefined) this.#left = new Map([...(this.#left ?? []), ...unacknowledged(this.#session)])
    this.#session = undefined
    this.#unread = []
  }

  /** @returns how many responses it has answered */
  answer(taken: Taken, now: Date): number {
    const {owner, refuses} = this.#envoy
    const wanted = new Set(secretsOf(owner).filter(name => taken === 'both' || (taken === 'identity') === (name === 'identity')))
    for (let count = 0; ; count += 1) {
      const response = this.#unread.find(({resources}) => resources.every(({name}) => wanted.has(nameOf(name))))
      if (response === undefined) return count
      this.#unread = this.#unread.filter(other => other !== response)
      if (!refuses)
        for (const {name, version, resource} of response.resources)
          this.#held.set(nameOf(name), {version, body: resource?.value ?? new Uint8Array()})
      const errorDetail = refuses ? {errorDetail: {code: 13, message: 'the chain is invalid'}} : {}
      this.#ask({typeUrl: typeUrls.secret, responseNonce: response.nonce, ...errorDetail}, now)
    }
  }

  /** What it uses is what the model says, by version and by content. */
  requireHeld(): void {
    const {owner, id} = this.#envoy
    for (const name of secretsOf(owner)) {
      const [held, wanted] = [this.#held.get(name), versionOf(name, this.#envoy)]
      if (held?.version !== wanted)
        throw new Violation(`${id} has ${name} in version ${held?.version ?? 'none'}, in the model ${wanted ?? 'none'}`)
      if (held !== undefined && textIn(held.body) !== this.#textOf(name))
        throw new Violation(`${id} has other certificates in ${name} than its version stands for`)
    }
  }

  report(reporter: ProxyReporter): ProxyReport | undefined {
    const [stream, session] = [this.#stream, this.#session]
    if (stream === undefined || session === undefined) return undefined
    const {sequence, credential, relay, since} = stream
    const path: Pick<Admitted, 'path' | 'relayedBy'> =
      relay === undefined ? {path: 'direct'} : {path: 'relay', relayedBy: readKey(relay).sha256}
    const open: OpenStream = {
      ...{sequence, variant: 'delta', peer: '', openedAt: new Date(since), node: this.#node, session, frozen: undefined, before: undefined},
      admitted: {kind: 'admitted', cluster: this.#envoy.owner, generation: 1, fingerprint: readKey(credential).sha256, ...path},
      ...{lastSentAt: undefined, update: doNothing, end: doNothing},
    }
    return reporter(open, this.#node, 1)
  }

  #textOf(name: SecretName): string {
    const {identity, trust} = this.#envoy
    if (name === 'identity') return identity?.certificate ?? ''
    return (name === 'trust' ? trust?.issuers : trust?.credentialIssuers)?.join('') ?? ''
  }

  #ask(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>, now: Date): void {
    this.#step({kind: 'request', request: create(DeltaDiscoveryRequestSchema, request)}, now)
  }

  /** The transport writes at once. All but secrets are acknowledged as they come. */
  #step(input: Input, now: Date): void {
    const others: DeltaDiscoveryResponse[] = []
    for (let next: Input | undefined = input; next !== undefined && this.#session !== undefined;) {
      const {session, send, close} = step(this.#session, next, now)
      this.#session = session
      if (close !== undefined) throw new Violation(`the session of ${this.#envoy.id} was closed: ${close.message}`)
      next = send === undefined ? undefined : {kind: 'writable'}
      if (send?.$typeName !== 'envoy.service.discovery.v3.DeltaDiscoveryResponse') continue
      if (send.typeUrl === typeUrls.secret) this.#unread.push(send)
      else others.push(send)
    }

    for (const {typeUrl, nonce} of others) this.#ask({typeUrl, responseNonce: nonce}, now)
  }
}

function doNothing(): void {
  // A report asks for no such thing.
}

function nameOf(secret: string): SecretName {
  if (secret === envoyNames.identity) return 'identity'
  return secret === envoyNames.trust ? 'trust' : 'adsTrust'
}

/** The certificates in a secret, without the comment that it begins with when it is sent. */
function textIn(body: Uint8Array): string {
  const {type} = fromBinary(SecretSchema, body)
  const source =
    type.case === 'tlsCertificate' ? type.value.certificateChain : type.case === 'validationContext' ? type.value.trustedCa : undefined
  return source?.specifier.case === 'inlineString' ? source.specifier.value.replace(/^# .*\n/, '') : ''
}
