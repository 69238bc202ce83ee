/** The command line of this folder: `ensure NAME…` and `path NAME` (README.md beside this file). */
import {programNamed, programs} from './catalogue.mjs'
import {ensurePrograms} from './ensure.mjs'
import {findProgram} from './find.mjs'
import {showProgress} from './progress.mjs'

const [task, ...names] = process.argv.slice(2)

// Without a listener a signal would skip the listeners of `exit`, which remove locks and incomplete directories.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

// `npm run demo` starts this process as a process group with an IPC channel: when the demo ends, the group ends, with Go's compilers.
const isListenedTo = process.send !== undefined
const endAll = () => process.kill(-process.pid, 'SIGTERM')
if (isListenedTo) process.once('disconnect', endAll)

if (task === 'ensure') await ensure()
else if (task === 'path' && names.length === 1) path()
else fail('usage: programs ensure [NAME…] | path NAME', 2)

async function ensure() {
  const wanted = names.length === 0 ? programs : names.map(programNamed)
  if (isListenedTo) {
    const {failed} = await ensurePrograms(wanted, {onAnnounced: () => process.send('announced')})
    process.off('disconnect', endAll)
    process.disconnect()
    process.exitCode = Object.keys(failed).length > 0 ? 1 : 0
    return
  }
  const shown = showProgress(process.stderr)
  const {found, failed} = await ensurePrograms(wanted, {onProgress: shown.onProgress})
  shown.end()
  for (const [name, where] of Object.entries(found)) process.stdout.write(`${name}\t${where}\n`)
  for (const message of Object.values(failed)) process.stderr.write(`${message}\n`)
  process.exitCode = Object.keys(failed).length > 0 ? 1 : 0
}

function path() {
  const found = findProgram(programNamed(names[0]))
  if (found === undefined) fail(`${names[0]} is not on this machine: run programs ensure ${names[0]}`, 3)
  else process.stdout.write(`${found}\n`)
}

function fail(message, code) {
  process.stderr.write(`${message}\n`)
  process.exitCode = code
}
