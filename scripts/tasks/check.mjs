/** `npm run check [-- STEP…]`: the gate. */
import {runGate} from '../gate/gate.mjs'

const start = Date.now()
try {
  const verdicts = await runGate(process.argv.slice(2))
  const failed = verdicts.filter(({ok}) => !ok).map(({name}) => name)
  const time = `${((Date.now() - start) / 1000).toFixed(0)} s`
  process.stderr.write(failed.length === 0 ? `gate: passed in ${time}\n` : `gate: failed in ${time}: ${failed.join(', ')}\n`)
  process.exitCode = failed.length === 0 ? 0 : 1
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
