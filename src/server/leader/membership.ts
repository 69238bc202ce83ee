/** This server among those of its store: takes part, and learns whether it leads. How a leader is elected is the store's affair. */
import type {ServerRole, StateStore, StoreMembership} from '../../lib/store/store.js'
import type {Leader} from './leader.js'
import type {Log} from '../log.js'

export interface MembershipDependencies {
  readonly store: StateStore
  readonly replica: string
  readonly role: ServerRole
  readonly log: Log
  /** Undefined: this server never leads. */
  readonly leader: Leader | undefined
  /** What this server warns of now. */
  warnings(): readonly string[]
  /** SHA-256 of the roots whose keys are kept offline; undefined: not known yet. */
  offlineRoots(): readonly string[] | undefined
}

export interface Membership {
  /**
   * @param admin the URL of this server's admin port
   * @throws AtlasError `conflict` where another server holds the store
   */
  join(admin: string): Promise<void>
  readonly isLeading: () => boolean
  /** Why this server can't take part. */
  readonly failure: () => string | undefined
  /** Waits for the writes that are under way, and lets another server lead. */
  resign(): Promise<void>
  /** Gives the store back. */
  release(): Promise<void>
}

/** Takes no part before `join`. */
export function openMembership({store, replica, role, log, leader, warnings, offlineRoots}: MembershipDependencies): Membership {
  let held: StoreMembership | undefined
  let isLeading = false
  let failure: string | undefined
  return {
    async join(admin) {
      held = await store.hold(
        {admin, replica, role, warnings, offlineRoots},
        {
          leading(leads) {
            isLeading = leads
            if (store.isShared)
              log.info(leads ? 'this server is the leader now: it signs and writes' : 'this server is no longer the leader')
            leader?.lead(leads)
          },
          living(replicas) {
            leader?.living([...replicas].sort())
          },
          failed(error) {
            const reason = error === undefined ? undefined : `this server can not take part in leader election: ${error.message}`
            if (failure === reason) return
            if (error === undefined) log.info('takes part in leader election again')
            else log.warn('can not take part in leader election', {error: error.message, hint: error.hint})
            failure = reason
          },
        },
      )
    },
    isLeading: () => isLeading,
    failure: () => failure,
    resign: async () => held?.resign(),
    release: async () => held?.release(),
  }
}
