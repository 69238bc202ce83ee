/** What the model client does with a response, by type and version: as it was measured on Envoy (docs/explanation/envoy.md). */
import type {DeltaDiscoveryResponse, DiscoveryResponse} from '../../src/gen/envoy/service/discovery/v3/discovery_pb.js'
import type {Variant} from '../../src/lib/xds/session.js'
import type {Kind} from './stream.js'

export type Response = DeltaDiscoveryResponse | DiscoveryResponse

/** How long the client refuses a busy version, such as that of a listener whose port another process still holds. */
export const BUSY_MS = 20_000

/** How long a version that was refused alone must be withheld. */
export const RETRY_MS = 15_000

/** The client NACKs versions named bad. */
export function isBad(version: string): boolean {
  return version.startsWith('bad')
}

/** The cluster that a route or scope of this version points at: `1>c0`. */
export function clusterOf(version: string): string | undefined {
  return version.split('>')[1]
}

/** Whether the good additions of a refused response take effect (measured: CDS yes, SRDS no). */
export function appliesGood(kind: Kind): boolean {
  return kind !== 'scope' && kind !== 'secret'
}

export function contentsOf(response: Response): Map<string, string> {
  if (response.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryResponse')
    return new Map(response.resources.map(({name, version}) => [name, version]))
  return new Map(
    response.resources.map(({value}): [string, string] => {
      const text = new TextDecoder().decode(value)
      return [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]
    }),
  )
}

export function removedOf(response: Response): readonly string[] {
  return response.$typeName === 'envoy.service.discovery.v3.DeltaDiscoveryResponse' ? response.removedResources : []
}

/** What the client knows of one type. */
export class Shelf {
  /** What it works with. */
  has = new Map<string, string>()
  /** Scopes: what it takes for received, used or not; the same again is no change (measured on Envoy). */
  memory = new Map<string, string>()
  /** What it would list after a reconnect. */
  listed = new Map<string, string>()
  readonly names = new Set<string>()
  /** Names that may be sent although it has them, since a NACK or a cut has put them in doubt. */
  readonly doubted = new Set<string>()
  /** Names that the server was asked for and hasn't answered since: by the rules it sends them even if the client has them. */
  readonly owed = new Set<string>()
  nonce = ''
  /** Responses on this stream, and whether one was refused. */
  received = 0
  refused = false
  /** Scopes: how many responses may still repeat what it has, since a listener that was refused has been accepted and needs them. */
  repeats = 0

  /** A new stream begins. */
  reopen(): void {
    this.received = 0
    this.refused = false
    this.repeats = 0
    this.nonce = ''
    this.owed.clear()
  }

  /** Whether a response that brings this version repeats what the client has, without a reason. */
  isRepeated(variant: Variant, name: string, version: string, owed: ReadonlySet<string>): boolean {
    const had = this.has.get(name) === version && (variant === 'sotw' || this.listed.get(name) === version)
    return had && !owed.has(name) && !this.doubted.has(name)
  }
}
