/** The client's end of a session for tests: requests in short form, its own clock, writes at once unless stopped. */
import {create} from '@bufbuild/protobuf'
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryRequestSchema,
} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import {
  type Input,
  type Note,
  openSession,
  type UnacknowledgedByType,
  type Session,
  type SessionOptions,
  step,
  type Variant,
} from '../../src/lib/xds/session.js'
import {type Resource, type Snapshot, toSnapshot} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'

export type Kind = keyof typeof typeUrls

/** Resources in short form: `{cluster: {a: '1'}}` is cluster `a` in version `1`. */
export type Words = Partial<Record<Kind, Record<string, string>>>

export interface Said {
  readonly subscribe?: readonly string[]
  readonly unsubscribe?: readonly string[]
  readonly names?: readonly string[]
  readonly initial?: Record<string, string>
  readonly nonce?: string
  readonly error?: string
  readonly node?: {readonly id: string; readonly cluster: string}
}

const bodies = new Map<string, Resource>()

export function resource(kind: Kind, name: string, version: string): Resource {
  const key = `${kind} ${name} ${version}`
  const made = bodies.get(key) ?? {typeUrl: typeUrls[kind], name, version, body: new TextEncoder().encode(`${name}=${version}`)}
  bodies.set(key, made)
  return made
}

/** A secret with other bytes for each mark. */
export function markable(name: string, version: string): Resource {
  return {...resource('secret', name, version), marked: mark => new TextEncoder().encode(`${name}=${version} ${mark}`)}
}

export function snapshotOf(words: Words, previous?: Snapshot): Snapshot {
  const resources = Object.entries(words).flatMap(([kind, versions]) =>
    Object.entries(versions).map(([name, version]) => resource(kind as Kind, name, version)),
  )
  return toSnapshot(resources, previous)
}

/** A response in short form: `cluster +a=1 +b=2`, `listener -gone`, `scope` for an empty one. SotW: `cluster: a=1 b=2`. */
export function show(response: DeltaDiscoveryResponse | DiscoveryResponse): string {
  const kind = kindOf(response.typeUrl)
  if (response.$typeName === 'envoy.service.discovery.v3.DiscoveryResponse')
    return [`${kind}:`, ...response.resources.map(any => new TextDecoder().decode(any.value)).sort()].join(' ')
  const added = response.resources.map(({name, version}) => `+${name}=${version}`)
  return [kind, ...added.sort(), ...response.removedResources.map(name => `-${name}`).sort()].join(' ')
}

function bodiesOf(response: DeltaDiscoveryResponse | DiscoveryResponse): readonly string[] {
  const values =
    response.$typeName === 'envoy.service.discovery.v3.DiscoveryResponse'
      ? response.resources.map(({value}) => value)
      : response.resources.map(({resource: any}) => any?.value)
  return values.map(value => new TextDecoder().decode(value))
}

export function kindOf(typeUrl: string): Kind {
  const found = Object.entries(typeUrls).find(([, url]) => url === typeUrl)
  return (found?.[0] ?? 'unknown') as Kind
}

export class Stream {
  session: Session
  now = new Date('2026-11-24T00:00:00Z')
  notes: Note[] = []
  wakeAt: Date | undefined
  close: string | undefined
  /** Whether the transport writes at once. */
  writes = true
  /** The bytes of all resources that were sent, as text. */
  readonly bodies: string[] = []
  /** The version_info of the last response (SotW). */
  lastVersion = ''
  readonly nonces = new Map<Kind, string>()
  #snapshot: Snapshot | undefined

  constructor(
    readonly variant: Variant,
    options?: SessionOptions,
  ) {
    this.session = openSession(variant, options)
  }

  /** Passes a request and returns the responses. */
  ask(kind: Kind | {readonly typeUrl: string}, said: Said = {}): readonly string[] {
    const typeUrl = typeof kind === 'string' ? typeUrls[kind] : kind.typeUrl
    const common = {
      typeUrl,
      responseNonce: said.nonce ?? '',
      ...(said.error === undefined ? {} : {errorDetail: {code: 13, message: said.error}}),
      ...(said.node === undefined ? {} : {node: said.node}),
    }
    const request =
      this.variant === 'delta'
        ? create(DeltaDiscoveryRequestSchema, {
            ...common,
            resourceNamesSubscribe: [...(said.subscribe ?? [])],
            resourceNamesUnsubscribe: [...(said.unsubscribe ?? [])],
            initialResourceVersions: said.initial ?? {},
          })
        : create(DiscoveryRequestSchema, {...common, resourceNames: [...(said.names ?? [])]})
    return this.take({kind: 'request', request})
  }

  /** ACK of the latest response of the type, or of the one named; SotW repeats its names. */
  ack(kind: Kind, said: Said = {}): readonly string[] {
    return this.ask(kind, {nonce: this.nonces.get(kind) ?? '', ...said})
  }

  nack(kind: Kind, error: string, said: Said = {}): readonly string[] {
    return this.ack(kind, {error, ...said})
  }

  push(words: Words, before?: UnacknowledgedByType): readonly string[] {
    this.#snapshot = snapshotOf(words, this.#snapshot)
    return this.take({kind: 'snapshot', snapshot: this.#snapshot, ...(before === undefined ? {} : {before})})
  }

  wait(milliseconds: number): readonly string[] {
    this.now = new Date(this.now.getTime() + milliseconds)
    return this.take({kind: 'wake'})
  }

  /** The transport writes the response that it holds, and goes on writing. */
  write(): readonly string[] {
    this.writes = true
    return this.take({kind: 'writable'})
  }

  take(input: Input): readonly string[] {
    const sent: string[] = []
    let next: Input | undefined = input
    while (next !== undefined) {
      const result = step(this.session, next, this.now)
      this.session = result.session
      this.notes.push(...result.notes)
      this.wakeAt = result.wakeAt
      this.close = result.close?.message ?? this.close
      next = result.send !== undefined && this.writes ? {kind: 'writable'} : undefined
      if (result.send !== undefined) {
        this.nonces.set(kindOf(result.send.typeUrl), result.send.nonce)
        if (result.send.$typeName === 'envoy.service.discovery.v3.DiscoveryResponse') this.lastVersion = result.send.versionInfo
        sent.push(show(result.send))
        this.bodies.push(...bodiesOf(result.send))
      }
    }

    return sent
  }

  /** The version_info of the answer to a first request (SotW). */
  firstVersion(kind: Kind): string {
    this.ask(kind)
    return this.lastVersion
  }

  /** The notes since the last call, of a kind. */
  heard<Kind extends Note['kind']>(kind: Kind): ReadonlyArray<Extract<Note, {kind: Kind}>> {
    const found = this.notes.filter((note): note is Extract<Note, {kind: Kind}> => note.kind === kind)
    this.notes = this.notes.filter(note => note.kind !== kind)
    return found
  }
}
