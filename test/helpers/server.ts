/** A server as a store is told of it, where a test wants nothing but that one is there. */
import type {HoldEvents, Server} from '../../src/lib/store/store.js'

/** One that serves and writes, with its admin port at `admin`. */
export function serverAt(admin: string): Server {
  return {admin, replica: 'atlas', role: 'all'}
}

/** Told, and not caring. */
export const unmoved: HoldEvents = {leading: () => undefined, living: () => undefined, failed: () => undefined}
