/** The commands that make a cluster join, and what stands beside them while the chart that they name is in no registry. */
import {readFileSync} from 'node:fs'
import {expect} from 'chai'
import {renderJoining} from '../../../src/lib/cli/text/joining.js'
import {renderClusterValues} from '../../../src/lib/cli/text/values.js'
import type {StoreFlags} from '../../../src/lib/cli/flags/store.js'
import {defaultRelease, isPublished} from '../../../src/lib/manifest/release.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {Joining} from '../../../src/lib/ops/cluster/values.js'

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
const paris = parseClusterName('paris')
const flags: StoreFlags = {namespace: undefined, kubeconfig: undefined, context: undefined, store: undefined}
const found = {owner: paris, namespace: 'atlas', release: () => 'kind: HelmRelease\n'} as unknown as Joining

describe('cli/text/joining', () => {
  it('README.md says of the charts what the program takes for true', () => {
    expect(readme.includes('**Not published yet**')).to.equal(!isPublished)
  })

  it('a chart that is not published is said to be so once, with the file of README.md that takes its place', () => {
    const [file = expect.fail('README.md names no file')] = /dist\/release\/envoy-\d\S+\.tgz/.exec(readme) ?? []
    const [, version = ''] = /envoy-(.*)\.tgz/.exec(file) ?? []
    const joining = {version, mayReadKey: true}
    for (const [where, text] of [
      ['from Kubernetes', renderJoining(paris, flags, joining)],
      ['where another user copies the key', renderJoining(paris, flags, {...joining, mayReadKey: false})],
      ['from a directory', renderJoining(paris, {...flags, store: './state'}, joining)],
    ] as const) {
      const remarks = text.split('\n').filter(line => line.includes('not published'))
      expect(remarks, where).to.deep.equal([
        `Chart envoy is not published yet: in place of ${defaultRelease.chart}, name the file ${file}. "npm run release -- --dry-run" makes it in a checkout of Atlas.`,
      ])
      expect(text, where).to.match(/Atlas\.$/)
    }
  })

  it('an object for Flux names a registry, so the file must be pushed to one; where --chart has named it, nothing is said', () => {
    const shown = {'show-secrets': false} as Parameters<typeof renderClusterValues>[2]
    const said = (chart?: string): string =>
      renderClusterValues(found, 'helm-release', {...shown, chart}, {version: '0.1.0', shown: false}).message ?? ''
    expect(said()).to.include(
      'not published yet: push the file dist/release/envoy-0.1.0.tgz to a registry of your own, and name that with --chart.',
    )
    expect(said('oci://registry.example.net/charts/envoy')).to.not.include('published')
  })
})
