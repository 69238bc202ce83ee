/** Loaded into every mocha run: a process warning fails it, and so does a run that does not end because something was left open. */

/** How long after the last test the process may live on. */
const graceMs = 10_000
const warnings = []

process.on('warning', warning => warnings.push(warning.stack ?? String(warning)))

/** Mocha's root hooks. */
export const mochaHooks = {
  afterAll() {
    const timer = setTimeout(() => {
      process.stderr.write(
        `\nThe tests are over but the process does not end; still open: ${process.getActiveResourcesInfo().join(', ')}\n`,
      )
      process.exit(1)
    }, graceMs)
    timer.unref()
    if (warnings.length > 0) throw new Error(`the process warned ${warnings.length} times:\n${warnings.join('\n')}`)
  },
}
