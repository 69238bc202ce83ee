/** The endpoints file of a Thanos Query on this machine (`--thanos-endpoints`): rewritten whenever the fleet's endpoints change. */
import {installationMark, mayKeep} from '../../lib/model/endpoints.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {replace} from '../../lib/store/directory/write.js'
import type {FleetObserver} from './current-fleet.js'
import type {Log} from '../log.js'

/** Writes in the background, one write at a time, the newest text last. */
export interface EndpointsFile extends FleetObserver {
  /** Resolves when nothing is left to write. */
  settled(): Promise<void>
  /** Why the file is out of date; undefined: it is not. */
  problem(): string | undefined
}

/** A write that fails is logged, and tried again at the next change or after `retryMs`. */
export function openEndpointsFile(file: string, log: Log, retryMs = 5000): EndpointsFile {
  let [wanted, written]: [string | undefined, string | undefined] = [undefined, undefined]
  let writing: Promise<void> = Promise.resolve()
  let problem: string | undefined
  let retry: NodeJS.Timeout | undefined

  async function write(): Promise<void> {
    const text = wanted
    if (text === undefined || text === written) return
    clearTimeout(retry)
    try {
      await replace(file, text, 0o644)
      written = text
      problem = undefined
    } catch (error) {
      problem = `the endpoints for Thanos Query can not be written to ${file}: ${messageOf(error)}`
      log.error('can not write the endpoints for Thanos Query', {file, error: messageOf(error)})
      retry = setTimeout(queue, retryMs).unref()
    }
  }

  function queue(): void {
    writing = writing.then(write)
  }

  function use(fleet: Fleet): void {
    const {endpoints, settings} = fleet
    if (endpoints === undefined || settings === undefined || !mayKeep(endpoints, installationMark(settings))) return
    wanted = endpoints.text
    queue()
  }

  return {
    started: use,
    changed({after}) {
      use(after)
    },
    settled: async () => writing,
    problem: () => problem,
  }
}
