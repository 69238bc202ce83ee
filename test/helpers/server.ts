/** A server for `store.hold`, where a test only needs that there is one. */
import type {HoldEvents, Server} from '../../src/lib/store/store.js'

/** One that serves and writes, with its admin port at `admin`. */
export function serverAt(admin: string): Server {
  return {admin, replica: 'atlas', role: 'all'}
}

/** Ignores all events. */
export const unmoved: HoldEvents = {leading: () => undefined, living: () => undefined, failed: () => undefined}
