/** `cluster list` and the fields of `cluster show` and `cluster add` as text. */
import {expect} from 'chai'
import {renderList, renderShown} from '../../../src/lib/cli/text/cluster.js'
import {renderFields} from '../../../src/lib/cli/text/render.js'

describe('cli/text/cluster', () => {
  it('a row shows three addresses and counts the others, and whether an Envoy is connected', () => {
    const addresses = Array.from({length: 64}, (_, index) => `198.51.100.${index}`)
    const row = (differing: object): string =>
      renderList([{name: 'paris', state: 'registered', generation: 1, replicas: 1, ...differing}]).split('\n')[1] ?? ''
    expect(row({addresses})).to.equal('paris  registered  unknown    198.51.100.0,198.51.100.1,198.51.100.2 and 61 more  1')
    expect(row({addresses: addresses.slice(0, 3), connected: true})).to.match(/ yes +198\.51\.100\.0,198\.51\.100\.1,198\.51\.100\.2 +1$/)
    expect(row({addresses: [], connected: false})).to.match(/ no +- +1$/)
  })

  it('a cluster that is cut off has the command that ends that as its remark', () => {
    const remark = (state: string): string => renderList([{name: 'paris', state, generation: 1, replicas: 1}]).split(/ 1(?: +|$)/)[1] ?? ''
    expect(remark('suspended')).to.equal('"atlas cluster add paris" restores it')
    expect(remark('revoked')).to.equal('"atlas cluster restore paris" ends that')
    expect(remark('registered')).to.equal('')
  })

  it('of fields with long names all values begin in one column, in `cluster show` and in `cluster add`', () => {
    const fields = {address: '#', 'allow-local-targets': '#'}
    const pageAddresses = {prom: {path: '#'}, alertmanager: {path: '#'}, thanos: {path: '#'}}
    const cluster = {name: '#', state: '#', generation: 1, sni: '#', sidecars: ['#']}
    const shown = renderShown({...cluster, fields, pageAddresses}, {identity: 'unread'})
    const columnsOf = (text: string): readonly number[] => [...new Set(text.split('\n').map(line => line.indexOf('#')))]
    // The certificate, of which nothing is known, has another text, and so has the line on where pages are.
    expect(columnsOf(shown.replace(/\nADS credential .*$/, '').replace('on port 10904', '#'))).to.deep.equal([
      'allow-local-targets  '.length,
    ])
    expect(columnsOf(renderFields(fields))).to.deep.equal(['  allow-local-targets  '.length])
  })
})
