import {expect} from 'chai'
import {execFileSync} from 'node:child_process'
import type {DemoResult} from '../../src/demo/demo.js'
import {waitFor} from '../../src/demo/lab/wait.js'
import {withDemo} from './run-demo.js'

const signal = new AbortController().signal

const BUILDING = {state: 'building', doing: 'compiling packages', done: 5, total: 10}

describe('atlas demo, with Envoy alone', function () {
  this.timeout(400_000)

  it('runs the proofs that need only Envoy, names the skipped one, and leaves nothing behind', () =>
    withDemo(['--once', '--json', '--clusters', '2'], 'without Thanos', async run => {
      const {code} = await run.ends(360_000)
      const result = JSON.parse(run.stdout()) as DemoResult
      expect(result.proofs.filter(({ok}) => !ok)).to.deep.equal([])
      expect(result.proofs.map(({name}) => name)).to.deep.equal([
        'envoy-path',
        'no-certificate-refused',
        'foreign-certificate-refused',
        'other-cluster-refused',
        'ads-wrong-node-refused',
        'prometheus-page',
        'add-while-running',
        'rotate-under-load',
        'server-killed-under-load',
        'replica-dies',
        'remove-cuts-off',
        'cluster-revoked',
      ])
      expect(result.leftOut).to.deep.equal(['thanos-query', 'alertmanager-page', 'alert-arrives', 'login-proxy'])
      expect(result.proofs.find(({name}) => name === 'prometheus-page')?.saw).to.contain(
        'stand-ins for the Prometheus pages of paris and lyon',
      )
      expect(run.stderr()).to.contain('Prometheus is not on this machine; to get it: install Prometheus')
      expect(code).to.equal(0)
      expect(run.processes()).to.deep.equal([])
      expect(await run.files()).to.deep.equal([])
    }))

  it('shows addresses, waits, and on Ctrl-C stops everything with exit code 0', () =>
    withDemo(['--clusters', '1', '--one-address'], 'without Thanos', async run => {
      await run.prints('Ctrl-C ends everything', 360_000)
      expect(run.stdout()).to.contain('✔ envoy-path: ')
      expect(run.stdout()).not.to.contain('\u001B[')
      for (const title of ['Envoy of paris', 'Every cluster']) {
        const page = new RegExp(`${title}\\s+(\\S+)`).exec(run.stderr())?.[1]
        expect((await fetch(page ?? '')).status, title).to.equal(200)
      }
      run.child.kill('SIGINT')
      expect(await run.ends()).to.deep.equal({code: 0})
      expect(run.processes()).to.deep.equal([])
      expect(await run.files()).to.deep.equal([])
    }))

  it('waits for a program that is being downloaded, and continues without it when that fails', () =>
    withDemo(
      ['--clusters', '1'],
      'without Thanos',
      async run => {
        await run.prints('being downloaded or built meanwhile: Prometheus and Thanos 0.42; their proofs come when they are there')
        await run.prints('waiting for Prometheus: compiling packages, 5 of 10')
        expect(run.stdout()).to.contain('✔ ads-wrong-node-refused: ')
        await run.announce('prometheus-2', {state: 'failed', message: 'no network'})
        await run.prints('no network; to get it: install Prometheus')
        await run.prints('Proofs on the running network, without Thanos')
        run.child.kill('SIGINT')
        expect(await run.ends()).to.deep.equal({code: 130})
      },
      {'prometheus-2': BUILDING, 'thanos-0.42.5': BUILDING},
    ))

  it('stops everything on SIGTERM before it is done, with exit code 130', () =>
    withDemo(['--clusters', '1'], 'without Thanos', async run => {
      await run.prints('Downstream cluster paris')
      run.child.kill('SIGTERM')
      expect(await run.ends()).to.deep.equal({code: 130})
      expect(run.stderr()).not.to.contain('Error')
      expect(run.processes()).to.deep.equal([])
      expect(await run.files()).to.deep.equal([])
    }))

  it('leaves no process behind when it is killed', () =>
    withDemo(['--clusters', '1'], 'without Thanos', async run => {
      await run.prints('Proofs with Envoy alone')
      expect(run.processes().length).to.be.at.least(3)
      run.child.kill('SIGKILL')
      await run.ends()
      await waitFor(
        'the guard to stop the programs',
        async () => (run.processes().length === 0 && (await run.files()).length === 0 ? true : undefined),
        {signal, timeoutMs: 45_000},
      )
    }))

  it('names in one message the Envoy that has crashed, with the last lines of its log', () =>
    withDemo(['--clusters', '1'], 'without Thanos', async run => {
      await run.prints('Proofs with Envoy alone')
      process.kill(pidOf(run.processes(), 'envoy/paris'), 'SIGSEGV')
      expect(await run.ends()).to.deep.equal({code: 1})
      expect(run.stderr()).to.match(/Error: envoy-paris ended unexpectedly \((signal SIG\w+|exit code \d+)\); its log ends with:\n {2}\S/)
      expect(run.stderr()).to.contain('--keep DIR')
      expect(run.processes()).to.deep.equal([])
    }))

  it('refuses a directory for --keep that is not empty', () =>
    withDemo(['--keep', '/proc'], 'without Thanos', async run => {
      expect((await run.ends()).code).to.equal(4)
      expect(run.stderr()).to.contain('--keep needs an empty directory; /proc has files in it')
    }))
})

/** The pid of the one process whose command line contains `text`. */
function pidOf(processes: readonly string[], text: string): number {
  const line = processes.find(each => each.includes(text))
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,args='], {encoding: 'utf8'}).split('\n')
  return Number(
    rows
      .find(row => line !== undefined && row.endsWith(line))
      ?.trim()
      .split(' ')[0],
  )
}
