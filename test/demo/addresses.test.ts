import {expect} from 'chai'
import {commandsToTry, showPaths} from '../../src/demo/addresses.js'
import {openScreen} from '../../src/demo/screen.js'

describe('demo/addresses', () => {
  it('shows each path with the proofs that took it and passed, within 100 columns', () => {
    const refused = ['no-certificate-refused', 'foreign-certificate-refused', 'other-cluster-refused', 'ads-wrong-node-refused']
    const proofs = ['envoy-path', ...refused, 'remove-cuts-off', 'cluster-revoked'].map(name => ({name, ok: true, saw: ''}))
    const text = shown([...proofs, {name: 'alert-arrives', ok: false, saw: ''}])
    expect(text).to.contain(
      "  queries        Thanos Query → 10901 observability Envoy → 11901 cluster's Envoy → sidecar\n                 envoy-path\n",
    )
    expect(text).not.to.match(/alerts|pages|configuration/)
    expect(Math.max(...text.split('\n').map(line => line.length))).to.be.at.most(100)
  })

  it('the commands to try run in another terminal: from the folder where a relative path begins', () => {
    const place = {folder: '/home/me/my atlas', store: '/tmp/demo/store'}
    const [first, ...others] = commandsToTry('bin/run.js', place)
    expect(first).to.equal("cd '/home/me/my atlas'")
    expect(others.slice(0, 2)).to.deep.equal(['export ATLAS_STORE=/tmp/demo/store', 'bin/run.js status'])
    for (const program of ['atlas', '/srv/atlas/bin/run.js'])
      expect(commandsToTry(program, place)).to.deep.equal([
        'export ATLAS_STORE=/tmp/demo/store',
        ...['status', 'cluster list', 'rotate'].map(command => `${program} ${command}`),
      ])
  })
})

function shown(proofs: Parameters<typeof showPaths>[1]): string {
  let text = ''
  const output = {write: (line: string) => (text += line)}
  showPaths(openScreen({words: output, proofs: output, mayColour: false, now: () => 0}), proofs)
  return text
}
