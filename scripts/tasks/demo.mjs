/** `npm run demo`: starts bringing the real programs that are missing, in the background, and runs `atlas demo` at once. */
import {spawn} from 'node:child_process'
import {join} from 'node:path'
import {demoPrograms} from '../programs/catalogue.mjs'
import {root} from '../setup/checkout.mjs'
import {runInForeground} from '../setup/child.mjs'

const bringing = await startBringing()
try {
  process.exitCode = await runInForeground(process.execPath, [join(root, 'bin/run.js'), 'demo', ...process.argv.slice(2)])
} finally {
  bringing.stop()
}

/** Resolves when each missing program has its status file: the demo then knows what to wait for. */
async function startBringing() {
  const child = spawn(process.execPath, [join(root, 'scripts/programs/main.mjs'), 'ensure', ...demoPrograms], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // a process group of its own: ended as a whole, with the compilers in it, and out of reach of the terminal's Ctrl-C
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
