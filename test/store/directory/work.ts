/** Starts worker.ts as a process. */
import {type Worker, startWorker} from '../../helpers/worker.js'

const script = new URL('worker.ts', import.meta.url)

export function work(...args: string[]): Worker {
  return startWorker(script, args)
}
