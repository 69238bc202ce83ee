/**
 * Loaded into every mocha run: a process warning fails it, a rejected promise that no code awaits (mocha passes over those),
 * and a process that does not end because something was left open.
 */
import {setImmediate} from 'node:timers/promises'

/** The process fails when it still runs this long after the last test; a test of this file shortens it. */
const graceMs = Number(process.env.ATLAS_TEST_GRACE_MS ?? 10_000)
/** By what caused them, since mocha emits a rejection twice. */
const troubles = new Map()

process.on('warning', warning => troubles.set(warning, `warning: ${warning.stack ?? warning}`))
process.on('unhandledRejection', (reason, promise) => troubles.set(promise, `rejected, and not awaited: ${reason?.stack ?? reason}`))

/** Mocha's root hooks. */
export const mochaHooks = {
  async afterAll() {
    setTimeout(endOpenProcess, graceMs).unref()
    await setImmediate()
    const told = [...troubles.values()]
    troubles.clear()
    // later warnings
    process.on('exit', () => troubles.size > 0 && failWith([...troubles.values()].join('\n')))
    if (told.length > 0) throw new Error(`outside of the tests:\n${told.join('\n')}`)
  },
}

function endOpenProcess() {
  // They keep no process alive, and would be listed among what does.
  for (const stream of [process.stdout, process.stderr]) stream.unref?.()
  const open = process.getActiveResourcesInfo().join(', ')
  process.on('exit', () => failWith(`The tests are over but the process does not end; still open: ${open}`))
  process.exit(1)
}

/** Mocha, too, sets the exit code in a listener of `exit`; this one is added later, so it runs later. */
function failWith(message) {
  process.stderr.write(`\n${message}\n`)
  process.exitCode = 1
}
