/** A process that will be killed, like a demo: starts one program under a supervisor, prints the pids, and waits. */
import {execFileSync} from 'node:child_process'
import {openSupervisor} from '../../../src/demo/lab/processes.js'

const [folder = ''] = process.argv.slice(2)
const supervisor = await openSupervisor(folder, {removeFolder: true})
const {pid: child} = await supervisor.start({name: 'sleeper', program: 'sleep', args: ['600']})
const children = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(process.pid)], {encoding: 'utf8'})
const guard = Number(/^\s*(\d+) sh$/m.exec(children)?.[1])
process.stdout.write(`${JSON.stringify({child, guard})}\n`)
setInterval(() => undefined, 60_000)
