/**
 * The endpoints files of the Thanos Queries on this machine (`--thanos-endpoints`): rewritten whenever the fleet's endpoints change. The
 * file of a group is beside that of all clusters.
 */
import path from 'node:path'
import {type Endpoints, installationMark, mayKeep} from '../../lib/model/endpoints.js'
import {messageOf} from '../../lib/model/errors.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {errnoOf, replace} from '../../lib/store/directory/write.js'
import type {FleetObserver} from './current-fleet.js'
import type {Log} from '../log.js'

/** Writes in the background, one write of a file at a time, the newest text last. */
export interface EndpointsFiles extends FleetObserver {
  /** Resolves when nothing is left to write. */
  settled(): Promise<void>
  /** Why a file is out of date; undefined: none is. */
  problem(): string | undefined
}

/** A write that fails is logged once, and tried again at the next change or after `retryMs`. @param file of all clusters */
export function openEndpointsFiles(file: string, log: Log, retryMs = 5000): EndpointsFiles {
  const files = new Map<string, TextFile>()

  function use(fleet: Fleet): void {
    const {settings} = fleet
    if (settings === undefined) return
    const wanted: readonly (readonly [string, Endpoints | undefined])[] = [
      [file, fleet.endpoints],
      ...settings.groups.map(group => [fileOfGroup(file, group), fleet.groupEndpoints.get(group)] as const),
    ]
    for (const name of files.keys()) if (!wanted.some(([each]) => each === name)) files.delete(name)
    for (const [name, endpoints] of wanted) {
      if (endpoints === undefined || !mayKeep(endpoints, installationMark(settings))) continue
      const open = files.get(name) ?? openTextFile(name, log, retryMs)
      files.set(name, open)
      open.write(endpoints.text)
    }
  }

  return {
    started: use,
    changed({after}) {
      use(after)
    },
    settled: async () => {
      await Promise.all([...files.values()].map(async open => open.settled()))
    },
    problem: () => [...files.values()].map(open => open.problem()).find(problem => problem !== undefined),
  }
}

/** `/etc/thanos/endpoints.yaml` -> `/etc/thanos/endpoints-<group>.yaml`. */
function fileOfGroup(file: string, group: string): string {
  const {dir, name, ext} = path.parse(file)
  return path.join(dir, `${name}-${group}${ext}`)
}

interface TextFile {
  write(text: string): void
  settled(): Promise<void>
  problem(): string | undefined
}

function openTextFile(file: string, log: Log, retryMs: number): TextFile {
  let [wanted, written]: [string | undefined, string | undefined] = [undefined, undefined]
  let writing: Promise<void> = Promise.resolve()
  let problem: string | undefined
  /** The cause that was logged last, until the file is written again. */
  let logged: string | undefined
  let retry: NodeJS.Timeout | undefined

  async function write(): Promise<void> {
    const text = wanted
    if (text === undefined || text === written) return
    clearTimeout(retry)
    try {
      await replace(file, text, 0o644)
      written = text
      problem = undefined
      logged = undefined
    } catch (error) {
      problem = `the endpoints for Thanos Query can not be written to ${file}: ${messageOf(error)}`
      // The endpoints of a fleet change often, and each change tries again; /readyz and status have the problem all the time.
      const cause = causeOf(error)
      if (cause !== logged) log.error('can not write the endpoints for Thanos Query', {file, error: messageOf(error)})
      logged = cause
      retry = setTimeout(queue, retryMs).unref()
    }
  }

  function queue(): void {
    writing = writing.then(write)
  }

  return {
    write(text) {
      wanted = text
      queue()
    },
    settled: async () => writing,
    problem: () => problem,
  }
}

/** The same for each try, as the message is not: it has the name of the draft. */
function causeOf(error: unknown): string {
  return (error instanceof Error ? errnoOf(error.cause) : undefined) ?? messageOf(error)
}
