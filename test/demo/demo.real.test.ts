import {readFileSync} from 'node:fs'
import path from 'node:path'
import {expect} from 'chai'
import type {DemoResult} from '../../src/demo/demo.js'
import {withDemo} from './run-demo.js'

describe('atlas demo, with Thanos and Prometheus', function () {
  this.timeout(900_000)

  it('runs every proof, and leaves nothing behind', () =>
    withDemo(['--once', '--json'], 'with Thanos', async run => {
      const {code} = await run.ends(840_000)
      const {proofs, leftOut} = JSON.parse(run.stdout()) as DemoResult
      expect(proofs.filter(({ok}) => !ok)).to.deep.equal([])
      expect(proofs.map(({name}) => name)).to.deep.equal([
        'envoy-path',
        'no-certificate-refused',
        'foreign-certificate-refused',
        'other-cluster-refused',
        'ads-wrong-node-refused',
        'prometheus-page',
        'alertmanager-page',
        'alert-arrives',
        'login-proxy',
        'thanos-query',
        'add-while-running',
        'rotate-under-load',
        'server-killed-under-load',
        'replica-dies',
        'remove-cuts-off',
        'cluster-revoked',
      ])
      expect(leftOut).to.deep.equal([])
      expect(proofs.find(({name}) => name === 'thanos-query')?.saw).to.contain('series from lyon, oslo and paris')
      expect(code).to.equal(0)
      expectRecording(run.stderr())
      expect(run.processes()).to.deep.equal([])
      expect(await run.files()).to.deep.equal([])
    }))

  it('runs twice at once', () =>
    withDemo(['--once', '--json', '--clusters', '1'], 'with Thanos', async first =>
      withDemo(['--once', '--json', '--clusters', '1'], 'with Thanos', async second => {
        const codes = await Promise.all([first.ends(840_000), second.ends(840_000)])
        expect(codes).to.deep.equal([{code: 0}, {code: 0}])
      }),
    ))
})

/** Every line of the recording in README.md is one of this run, as far as it is shown, but for numbers and the name of the folder. */
function expectRecording(printed: string): void {
  const readme = readFileSync(path.join(import.meta.dirname, '../../README.md'), 'utf8')
  const [, recording = ''] = /```text\n(● A fresh[^]*?)```/.exec(readme) ?? []
  const comparable = (text: string): readonly string[] =>
    text
      .replaceAll(/\/\S*\/atlas-demo-\w+/g, 'FOLDER')
      .replaceAll(/\d+(\.\d+)?/g, 'N')
      .split('\n')
      .map(line => line.trim())
  const lines = comparable(printed)
  // A proof may go on in the next line.
  const recorded = comparable(recording.replaceAll(/(✔ [^\n]*)\n {2}(?![$…])/g, '$1 ')).filter(line => line !== '' && line !== '…')
  expect(recorded).to.have.length.above(40)
  for (const line of recorded) {
    const [start = '', cut] = line.split(/ …$/)
    expect(
      lines.some(each => (cut === undefined ? each === start : each.startsWith(start))),
      line,
    ).to.equal(true)
  }
}
