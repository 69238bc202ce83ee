/** `npm run demo`: starts to download the missing real programs in the background, and runs `atlas demo` at once. */
import {spawn} from 'node:child_process'
import {join} from 'node:path'
import {demoPrograms} from '../programs/catalogue.mjs'
import {root} from '../setup/checkout.mjs'
import {runInForeground} from '../setup/child.mjs'

const download = await startDownload()
try {
  process.exitCode = await runInForeground(process.execPath, [join(root, 'bin/run.js'), 'demo', ...process.argv.slice(2)])
} finally {
  download.stop()
}

/** Resolves when each missing program has its status file, by which the demo knows what to wait for. */
async function startDownload() {
  const child = spawn(process.execPath, [join(root, 'scripts/programs/main.mjs'), 'ensure', ...demoPrograms], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // A process group, so that it is stopped with its compilers, and Ctrl-C in the terminal does not reach it.
    detached: true,
  })
  const ended = new Promise(resolve => child.once('exit', resolve))
  await Promise.race([new Promise(resolve => child.once('message', resolve)), ended])
  child.channel?.unref()
  child.unref()
  return {
    stop() {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM')
    },
  }
}
