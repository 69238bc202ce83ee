/** A file that can't be read for a moment, with nothing that changes its times: too many open files, a file server that is away. */
import {type ChildProcess, spawn} from 'node:child_process'
import {chmod} from 'node:fs/promises'
import {expect} from 'chai'
import {until} from '../recorder.js'
import {folderOf} from './folder.js'

/** Holds a lease on a file (fcntl(2), "Leases"): another process that opens it without waiting gets EAGAIN. A change of the lease changes no time. */
const LEASE = `
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
sys.stdin.read()
`

describe('store/directory: a file that can not be read for a moment', function () {
  this.timeout(60_000)
  const folder = folderOf()
  let child: ChildProcess | undefined
  afterEach(() => child?.kill('SIGKILL'))

  it('is read again, though none of its times changes, and its last valid state stays in effect meanwhile', async () => {
    const watch = await folder.watching()
    child = spawn('python3', ['-c', LEASE, folder.file('service-paris.yaml')])
    let said = ''
    child.stdout?.on('data', (data: Buffer) => (said += data.toString()))
    await until(() => said.includes('held'))
    // It is to be read again, since its mode has changed.
    await chmod(folder.file('service-paris.yaml'), 0o640)
    await until(() => watch.fleet.faults.has('registration/paris'))
    expect(watch.fleet.faults.get('registration/paris')?.message).to.contain('EAGAIN')
    child.kill('SIGKILL')
    await until(() => !watch.fleet.faults.has('registration/paris'))
    expect([...watch.fleet.registrations.keys()].sort()).to.deep.equal(['lyon', 'paris'])
  })
})
