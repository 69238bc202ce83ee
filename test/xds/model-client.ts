/**
 * A client that behaves as Envoy was measured to, and the wire between it and a session. What it applies of a response that it NACKs
 * depends on the type, and what it lists after a reconnect is not what it has. It records every response that breaks a rule.
 */
import {create} from '@bufbuild/protobuf'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {describeSession, type Input, openSession, type Session, step, unacknowledged, type Variant} from '../../src/lib/xds/session.js'
import type {Snapshot} from '../../src/lib/xds/snapshot.js'
import {allowsWildcard, isSharedByName, typeUrls} from '../../src/lib/xds/type-url.js'
import {BUSY_MS, RETRY_MS, type Response, Shelf, appliesGood, clusterOf, contentsOf, isBad, removedOf} from './envoy-habits.js'
import {type Kind, kindOf, show} from './stream.js'

type Request = DeltaDiscoveryRequest | DiscoveryRequest

/** In the order in which the client subscribes. */
const kinds: readonly Kind[] = ['cluster', 'secret', 'listener', 'scope', 'route']

/** The message of the client's NACKs: the bad names, no name, or a wrong name. */
export type Voice = 'misleading' | 'names' | 'silent'

interface Parcel {
  readonly request: Request
  readonly kind: Kind
  /** The response that the request answers. */
  readonly answers?: {
    readonly nonce: string
    readonly refusedAlone: string | undefined
    readonly accepted: ReadonlyMap<string, string>
    readonly removed: readonly string[]
    readonly acked: boolean
  }
  readonly asksFor: readonly string[]
}

/** A response, and which of its names the server had to send. */
interface Letter {
  readonly response: Response
  readonly owed: ReadonlySet<string>
  /** What the server had to send when it sent it. */
  readonly snapshot: Snapshot | undefined
}

export class ModelClient {
  session: Session
  now = new Date('2026-11-24T00:00:00Z')
  readonly shelves = new Map<Kind, Shelf>(kinds.map(kind => [kind, new Shelf()]))
  snapshot: Snapshot | undefined
  /** Written responses that the client hasn't read. */
  inbox: Letter[] = []
  /** Requests that the server hasn't got. */
  outbox: Parcel[] = []
  /** Cluster answers held back, as Envoy does while a cluster warms. */
  withheld: Parcel[] = []
  withholds = false
  #unwritten: Letter | undefined
  /** By nonce: names of responses that the server has no answer to. */
  #unanswered = new Map<string, {readonly kind: Kind; readonly names: readonly string[]}>()
  /** "kind name version" refused in a response of its own, and when the server learned of it. */
  #convicted = new Map<string, number>()
  /** When the client was first sent a version that it refuses for a while. */
  #firstSent = new Map<string, number>()
  #forced = new Set<string>()
  /** "kind name version" that the client has acknowledged on this stream, or listed. */
  #proved = new Set<string>()
  /** "kind name" that the client has acknowledged on this stream and that was not removed since. */
  #kept = new Set<string>()
  readonly trace: string[] = []

  constructor(
    readonly variant: Variant,
    readonly voice: Voice,
    private readonly options: Partial<Session['options']> = {},
  ) {
    this.session = openSession(variant, options)
    this.#connect()
  }

  push(snapshot: Snapshot): void {
    this.snapshot = snapshot
    this.#step({kind: 'snapshot', snapshot})
  }

  write(): boolean {
    if (this.#unwritten === undefined) return false
    this.inbox.push(this.#unwritten)
    this.#unwritten = undefined
    this.#step({kind: 'writable'})
    return true
  }

  deliver(): boolean {
    const parcel = this.outbox.shift()
    if (parcel === undefined) return false
    const {kind, answers, asksFor} = parcel
    if (answers !== undefined) {
      this.#unanswered.delete(answers.nonce)
      if (answers.refusedAlone !== undefined) this.#convicted.set(answers.refusedAlone, this.now.getTime())
      for (const name of answers.removed) this.#kept.delete(`${kind} ${name}`)
      if (answers.acked && answers.removed.length > 0)
        for (const key of [...this.#convicted.keys()]) if (key.startsWith(`${kind} `)) this.#convicted.delete(key)
      for (const [name, version] of answers.accepted) {
        this.#proved.add(`${kind} ${name} ${version}`)
        this.#kept.add(`${kind} ${name}`)
      }
    }

    for (const name of asksFor) this.#shelf(kind).owed.add(name)
    for (const name of asksFor)
      for (const key of [...this.#convicted.keys()]) if (key.startsWith(`${kind} ${name} `)) this.#convicted.delete(key)
    this.#step({kind: 'request', request: parcel.request})
    this.#judgeEvidence(kind)
    return true
  }

  read(): boolean {
    const letter = this.inbox.shift()
    if (letter === undefined) return false
    const {response} = letter
    this.trace.push(`read ${show(response)}`)
    const kind = kindOf(response.typeUrl)
    const shelf = this.#shelf(kind)
    shelf.received += 1
    const parcel =
      response.$typeName === 'envoy.service.discovery.v3.DiscoveryResponse'
        ? this.#readSotw(kind, response, letter)
        : this.#readDelta(kind, response, letter)
    ;(kind === 'cluster' && this.withholds ? this.withheld : this.outbox).push(parcel)
    return true
  }

  release(): boolean {
    this.withholds = false
    const released = this.withheld.length > 0
    this.outbox.push(...this.withheld)
    this.withheld = []
    return released
  }

  wait(milliseconds: number): void {
    this.now = new Date(this.now.getTime() + milliseconds)
    this.#step({kind: 'wake'})
  }

  /** Subscribes to a name, with the last nonce of the type or none. Both are stale, but the names count. */
  subscribe(kind: Kind, name: string, nonce: string): void {
    const shelf = this.#shelf(kind)
    if (this.variant === 'sotw' && shelf.names.has(name)) return
    shelf.names.add(name)
    this.outbox.push(this.#request(kind, {subscribe: [name], nonce}))
  }

  unsubscribe(kind: Kind, name: string): void {
    const shelf = this.#shelf(kind)
    if (!shelf.names.delete(name)) return
    if (!allowsWildcard(typeUrls[kind])) {
      shelf.has.delete(name)
      shelf.listed.delete(name)
    }

    this.outbox.push({...this.#request(kind, {unsubscribe: [name], nonce: ''}), asksFor: [name]})
  }

  /** The stream is cut and opened again: messages in flight in either direction are lost. */
  cut(): void {
    this.trace.push('cut')
    for (const {kind, names} of this.#unanswered.values()) for (const name of names) this.#shelf(kind).doubted.add(name)
    // A name that was requested and not answered is in doubt too.
    for (const shelf of this.shelves.values()) for (const name of shelf.owed) shelf.doubted.add(name)
    const before = unacknowledged(this.session)
    this.session = openSession(this.variant, this.options)
    this.inbox = []
    this.outbox = []
    this.withheld = []
    this.#unwritten = undefined
    this.#unanswered = new Map()
    this.#convicted = new Map()
    this.#forced = new Set()
    this.#proved = new Set()
    this.#kept = new Set()
    if (this.snapshot !== undefined) this.#step({kind: 'snapshot', snapshot: this.snapshot, before})
    this.#connect()
  }

  /** Everything is written, read and delivered, and a minute passes: long enough for what is refused for a while to be retried. */
  drain(): void {
    this.release()
    for (let waited = 0; waited <= 12; waited += 1) {
      for (let rounds = 0; [this.write(), this.read(), this.deliver()].some(Boolean); rounds += 1)
        if (rounds > 3000) this.#fail('it never comes to rest')
      if (waited < 12) this.wait(5000)
    }
  }

  /** What must hold at rest: the client has exactly the subscribed part of the snapshot, without what it NACKs. */
  check(): void {
    for (const kind of kinds) {
      const shelf = this.#shelf(kind)
      const wild = allowsWildcard(typeUrls[kind])
      const wanted = [...(this.snapshot?.get(typeUrls[kind]) ?? [])].filter(([name]) => wild || shelf.names.has(name))
      const report = describeSession(this.session).find(({typeUrl}) => typeUrl === typeUrls[kind])
      for (const [name, {version}] of wanted) {
        const has = shelf.has.get(name)
        if (isBad(version)) {
          if (has !== undefined && isBad(has)) this.#fail(`${kind} ${name} is bad, and it has it`)
          if (report?.refused.get(name) === undefined) this.#fail(`${kind} ${name} is refused, and status does not say so`)
        } else {
          if (has !== version) this.#fail(`${kind} ${name} should be ${version}, it has ${has}`)
          if (this.variant === 'delta' && shelf.listed.get(name) !== version) this.#fail(`${kind} ${name} is not listed as ${version}`)
          if (report?.acked.get(name) !== version) this.#fail(`${kind} ${name} ${version} is not counted as acknowledged`)
        }
      }

      const names = new Set(wanted.map(([name]) => name))
      const extra = [...shelf.has.keys()].filter(name => !names.has(name))
      // By SotW a resource that is subscribed by name is never removed.
      if (extra.length > 0 && (wild || this.variant === 'delta')) this.#fail(`${kind} ${extra.join(' ')} should be gone`)
      const bad = wanted.some(([, {version}]) => isBad(version))
      const wantedState = this.snapshot === undefined ? 'stale' : bad ? 'nack' : 'synced'
      if (report?.state !== wantedState) this.#fail(`${kind} is ${report?.state} in status, it should be ${wantedState}`)
      if (!bad && this.snapshot !== undefined && unacknowledged(this.session).has(typeUrls[kind]))
        this.#fail(`${kind} is kept as unrepaired`)
    }
  }

  #connect(): void {
    for (const kind of kinds) {
      const shelf = this.#shelf(kind)
      shelf.reopen()
      for (const [name, version] of shelf.listed) this.#proved.add(`${kind} ${name} ${version}`)
      const initial = Object.fromEntries(shelf.listed)
      const first = this.#request(kind, {subscribe: [...shelf.names], nonce: '', initial, wildcard: true})
      const isShared = this.variant === 'delta' && isSharedByName(typeUrls[kind])
      this.outbox.push(isShared ? {...first, asksFor: first.asksFor.filter(name => !shelf.listed.has(name))} : first)
    }
  }

  #step(input: Input): void {
    const result = step(this.session, input, this.now)
    this.session = result.session
    if (result.wakeAt !== undefined && result.wakeAt <= this.now) this.#fail('to be woken at a time that is over')
    if (result.close !== undefined) this.#fail(`closed: ${result.close.message}`)
    for (const note of result.notes)
      if (note.kind === 'removal-forced') for (const name of note.names) this.#forced.add(`${kindOf(note.typeUrl)} ${name}`)
    if (result.send === undefined) return
    if (this.#unwritten !== undefined) this.#fail('a second unwritten response')
    const response = result.send
    this.trace.push(`sent ${show(response)}`)
    const kind = kindOf(response.typeUrl)
    const contents = contentsOf(response)
    for (const [name, version] of contents)
      if (
        this.now.getTime() < (this.#convicted.get(`${kind} ${name} ${version}`) ?? -Infinity) + RETRY_MS &&
        !this.#shelf(kind).owed.has(name)
      )
        this.#fail(`${kind} ${name} ${version} was refused alone, and is sent again at once`)
    const owed = this.#shelf(kindOf(response.typeUrl)).owed
    const paid = [...contentsOf(response).keys(), ...removedOf(response)].filter(name => owed.delete(name))
    this.#unwritten = {response, owed: new Set(paid), snapshot: this.snapshot}
    this.#unanswered.set(response.nonce, {kind, names: [...contents.keys(), ...removedOf(response)]})
  }

  #readDelta(kind: Kind, response: DeltaDiscoveryResponse, letter: Letter): Parcel {
    const shelf = this.#shelf(kind)
    const added = contentsOf(response)
    const {removedResources: removed} = response
    if (added.size !== response.resources.length || new Set(removed).size !== removed.length) this.#fail('a name twice in a response')
    if (added.size > 0 && removed.length > 0) this.#fail('additions and removals in one response')
    for (const [name, version] of added) this.#judgeAddition(kind, name, version, letter)
    if ([...added].some(([name, version]) => shelf.isRepeated(this.variant, name, version, letter.owed))) shelf.repeats -= 1
    for (const name of removed) this.#judgeRemoval(kind, name)

    const bad = [...added].filter(([name, version]) => this.#refuses(kind, name, version)).map(([name]) => name)
    this.#take(kind, added, removed)
    if (bad.length === 0) {
      for (const name of removed) shelf.listed.delete(name)
      for (const [name, version] of added) shelf.listed.set(name, version)
    }

    this.#dropUnwanted(kind)
    return this.#answer(kind, response, {bad, removed})
  }

  #readSotw(kind: Kind, response: DiscoveryResponse, letter: Letter): Parcel {
    const shelf = this.#shelf(kind)
    const contents = contentsOf(response)
    const whole = allowsWildcard(response.typeUrl)
    if (!whole && contents.size === 0) this.#fail(`an empty ${kind} response`)
    const same = contents.size === shelf.has.size && [...contents].every(([name, version]) => shelf.has.get(name) === version)
    if (whole && same && shelf.received > 1 && shelf.doubted.size === 0 && letter.owed.size === 0) {
      if (shelf.repeats === 0) this.#fail(`${kind} as it was`)
      shelf.repeats -= 1
    }

    if (!whole) for (const [name, version] of contents) this.#judgeAddition(kind, name, version, letter)
    const gone = whole ? [...shelf.has.keys()].filter(name => !contents.has(name)) : []
    // The first response of a stream can't carry what neither side knows any more, nor can one that leaves out what was refused.
    if (shelf.received > 1 && !shelf.refused) for (const name of gone) this.#judgeRemoval(kind, name)
    for (const name of gone) this.#judgeLoss(kind, name, letter)

    const bad = [...contents].filter(([name, version]) => this.#refuses(kind, name, version)).map(([name]) => name)
    for (const [name, version] of contents)
      if (whole && !this.#refuses(kind, name, version) && (bad.length === 0 || appliesGood(kind)))
        this.#judgeOrder(kind, name, version, letter.snapshot)
    const forgotten = whole ? [...shelf.memory.keys()].filter(name => !contents.has(name)) : []
    this.#take(kind, contents, [...gone, ...forgotten])

    this.#dropUnwanted(kind)
    return this.#answer(kind, response, {bad, removed: [...gone, ...forgotten]})
  }

  /** The client never loses a resource that it acknowledged on this stream and is still to have. */
  #judgeLoss(kind: Kind, name: string, {snapshot}: Letter): void {
    if (this.#kept.has(`${kind} ${name}`) && snapshot?.get(typeUrls[kind])?.has(name) === true)
      this.#fail(`${kind} ${name} is lost, which is still wanted`)
  }

  /** Whether the client refuses this version now: always where it is bad, for a while where it is busy. */
  #refuses(kind: Kind, name: string, version: string): boolean {
    if (isBad(version)) return true
    if (!version.startsWith('busy')) return false
    const key = `${kind} ${name} ${version}`
    const first = this.#firstSent.get(key) ?? this.now.getTime()
    this.#firstSent.set(key, first)
    return this.now.getTime() < first + BUSY_MS
  }

  /** Applies a response as far as the type does: of a refused one all removals, and of the additions what the type applies. */
  #take(kind: Kind, added: ReadonlyMap<string, string>, removed: readonly string[]): void {
    const {has, memory} = this.#shelf(kind)
    for (const name of removed) {
      has.delete(name)
      memory.delete(name)
    }

    const bad = [...added].some(([name, version]) => this.#refuses(kind, name, version))
    if (kind !== 'scope') {
      for (const [name, version] of added) if (!this.#refuses(kind, name, version) && (!bad || appliesGood(kind))) has.set(name, version)
      return
    }

    const fresh: Array<[string, string]> = []
    for (const [name, version] of added) {
      if (memory.get(name) === version) continue
      if (this.#refuses(kind, name, version)) return
      memory.set(name, version)
      fresh.push([name, version])
    }

    for (const [name, version] of fresh) has.set(name, version)
  }

  #answer(kind: Kind, response: Response, {bad, removed}: {readonly bad: readonly string[]; readonly removed: readonly string[]}): Parcel {
    const shelf = this.#shelf(kind)
    const contents = contentsOf(response)
    for (const name of [...contents.keys(), ...removedOf(response)]) {
      if (bad.length > 0) shelf.doubted.add(name)
      else shelf.doubted.delete(name)
    }

    if (this.variant === 'sotw' && bad.length === 0 && allowsWildcard(response.typeUrl)) shelf.doubted.clear()
    shelf.nonce = response.nonce
    const responses = this.options.maxPartBytes === undefined ? 1 : 4 // at most, for four scopes
    if (kind === 'listener' && shelf.refused && bad.length === 0) this.#shelf('scope').repeats += responses
    shelf.refused ||= bad.length > 0
    const [only] = bad
    const alone =
      this.variant === 'delta' && contents.size === 1 && only !== undefined ? `${kind} ${only} ${contents.get(only)}` : undefined
    const error = bad.length === 0 ? undefined : this.#words([...contents.keys()], bad)
    return {
      ...this.#request(kind, {nonce: response.nonce, ...(error === undefined ? {} : {error})}),
      answers: {
        nonce: response.nonce,
        refusedAlone: alone,
        accepted: bad.length === 0 ? contents : new Map(),
        removed,
        acked: bad.length === 0,
      },
    }
  }

  #words(names: readonly string[], bad: readonly string[]): string {
    if (this.voice === 'names') return `Error adding/updating ${bad.map(name => `${name}: no good`).join(', ')}`
    return this.voice === 'silent'
      ? 'Failed to load private key from <inline>'
      : `something about ${names.find(name => !bad.includes(name)) ?? 'nothing'}`
  }

  /** An acknowledged version was acknowledged on this stream. */
  #judgeEvidence(kind: Kind): void {
    for (const [name, version] of describeSession(this.session).find(({typeUrl}) => typeUrl === typeUrls[kind])?.acked ?? [])
      if (!this.#proved.has(`${kind} ${name} ${version}`)) this.#fail(`${kind} ${name} ${version} counts as acknowledged`)
  }

  /** The server never sends what the client has, except where a rule requires it. */
  #judgeAddition(kind: Kind, name: string, version: string, letter: Letter): void {
    const shelf = this.#shelf(kind)
    if (shelf.repeats === 0 && shelf.isRepeated(this.variant, name, version, letter.owed))
      this.#fail(`${kind} ${name} ${version} is sent again`)
    this.#judgeOrder(kind, name, version, letter.snapshot)
  }

  /** The client never gets a route or scope before its cluster. */
  #judgeOrder(kind: Kind, name: string, version: string, snapshot: Snapshot | undefined): void {
    const cluster = clusterOf(version)
    if (cluster === undefined || this.#refuses(kind, name, version) || this.#shelf(kind).has.get(name) === version) return
    const clusters = this.#shelf('cluster')
    const offered = snapshot?.get(typeUrls.cluster)?.get(cluster)
    if (clusters.has.has(cluster) || clusters.doubted.has(cluster) || this.#forced.has(`cluster ${cluster}`)) return
    if (offered === undefined || this.#refuses('cluster', cluster, offered.version)) return
    // A SotW repair may leave clusters out until it is their turn.
    if (this.variant === 'sotw' && clusters.refused) return
    this.#fail(`${kind} ${name} comes before its cluster ${cluster}`)
  }

  /** The client never loses a cluster before its route or scope, unless the delay is over. */
  #judgeRemoval(kind: Kind, name: string): void {
    if (kind !== 'cluster' || !this.#shelf('cluster').has.has(name) || this.#forced.has(`cluster ${name}`)) return
    for (const user of this.variant === 'delta' ? (['scope', 'route'] as const) : (['scope'] as const))
      for (const [route, version] of this.#shelf(user).has)
        if (clusterOf(version) === name) this.#fail(`cluster ${name} goes before ${user} ${route}`)
  }

  /** A resource that was unsubscribed while it was in flight is not kept. */
  #dropUnwanted(kind: Kind): void {
    if (allowsWildcard(typeUrls[kind])) return
    const shelf = this.#shelf(kind)
    for (const name of [...shelf.has.keys(), ...shelf.listed.keys()])
      if (!shelf.names.has(name)) {
        shelf.has.delete(name)
        shelf.listed.delete(name)
      }
  }

  #request(
    kind: Kind,
    said: {
      readonly subscribe?: readonly string[]
      readonly unsubscribe?: readonly string[]
      readonly nonce: string
      readonly error?: string
      readonly initial?: Record<string, string>
      readonly wildcard?: boolean
    },
  ): Parcel {
    const shelf = this.#shelf(kind)
    const typeUrl = typeUrls[kind]
    const errorDetail = said.error === undefined ? {} : {errorDetail: {code: 13, message: said.error}}
    const star = allowsWildcard(typeUrl) && shelf.names.size > 0 ? ['*'] : []
    const request =
      this.variant === 'sotw'
        ? create(DiscoveryRequestSchema, {typeUrl, responseNonce: said.nonce, resourceNames: [...shelf.names, ...star], ...errorDetail})
        : create(DeltaDiscoveryRequestSchema, {
            typeUrl,
            responseNonce: said.nonce,
            resourceNamesSubscribe: [...(said.subscribe ?? []), ...(said.wildcard === true ? star : [])],
            resourceNamesUnsubscribe: [...(said.unsubscribe ?? [])],
            initialResourceVersions: said.initial ?? {},
            ...errorDetail,
          })
    return {request, kind, asksFor: said.subscribe ?? []}
  }

  #shelf(kind: Kind): Shelf {
    const shelf = this.shelves.get(kind)
    if (shelf === undefined) throw new Error(`unexpected type ${kind}`)
    return shelf
  }

  #fail(message: string): never {
    throw new Error(`${message}\n${this.trace.slice(-60).join('\n')}`)
  }
}
