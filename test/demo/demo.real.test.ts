import {expect} from 'chai'
import type {DemoResult} from '../../src/demo/demo.js'
import {withDemo} from './run-demo.js'

describe('atlas demo, with Thanos and Prometheus', function () {
  this.timeout(300_000)

  it('runs every proof, and leaves nothing behind', () =>
    withDemo(['--once', '--json'], 'with Thanos', async run => {
      const {code} = await run.ends(290_000)
      const {proofs, leftOut} = JSON.parse(run.stdout()) as DemoResult
      expect(proofs.filter(({ok}) => !ok)).to.deep.equal([])
      expect(proofs.map(({name}) => name)).to.deep.equal([
        'envoy-path',
        'no-certificate-refused',
        'foreign-certificate-refused',
        'other-cluster-refused',
        'ads-wrong-node-refused',
        'thanos-query',
        'add-while-running',
        'rotate-under-load',
        'server-killed-under-load',
        'remove-cuts-off',
      ])
      expect(leftOut).to.deep.equal([])
      expect(proofs.find(({name}) => name === 'thanos-query')?.saw).to.contain('series from lyon, oslo and paris')
      expect(code).to.equal(0)
      expect(run.processes()).to.deep.equal([])
      expect(await run.files()).to.deep.equal([])
    }))

  it('runs twice at once', () =>
    withDemo(['--once', '--json', '--clusters', '1'], 'with Thanos', async first =>
      withDemo(['--once', '--json', '--clusters', '1'], 'with Thanos', async second => {
        const codes = await Promise.all([first.ends(290_000), second.ends(290_000)])
        expect(codes).to.deep.equal([{code: 0}, {code: 0}])
      }),
    ))
})
