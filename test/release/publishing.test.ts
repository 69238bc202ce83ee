/** What prevents publishing, the commands that publish, and a bill of materials that depends only on the content. */
import {expect} from 'chai'
import {obstacles, publishCommands} from '../../scripts/release/publishing.mjs'
import {settle} from '../../scripts/release/sbom.mjs'
import {defaultRelease} from '../../src/lib/manifest/release.js'

describe('publishing', () => {
  const ready = {version: '1.2.3', changelog: '# Changelog\n\n## [1.2.3]\n', readme: '# Atlas\n', changed: [], tags: ['v1.2.3']}

  it('accepts a clean, tagged commit with a section in the changelog', () => {
    expect(obstacles(ready)).to.deep.equal([])
  })

  it('names uncommitted files, a missing tag, a missing section of the changelog, a README that says that nothing is published', () => {
    expect(obstacles({...ready, changed: [' M src/a.ts', '?? b.txt']})).to.deep.equal(['not everything is committed: src/a.ts, b.txt'])
    expect(obstacles({...ready, tags: ['v1.2.2']})[0]).to.include('no tag v1.2.3')
    expect(obstacles({...ready, changelog: '\n## [Unreleased]\n'})[0]).to.include('no section [1.2.3]')
    expect(obstacles({...ready, readme: '**Not published yet**: there is'})[0]).to.include('isPublished')
    expect(obstacles({version: '1.2.3', changelog: '', readme: '', changed: [' M a'], tags: []})).to.have.length(3)
  })

  it('pushes the image for both architectures before the charts that name it, and the charts before the command line', () => {
    const commands = publishCommands({
      directory: 'dist/release',
      tarball: 'a.tgz',
      charts: ['atlas', 'envoy'],
      version: '1.2.3',
      commit: 'abc',
      epoch: 12,
    })
    expect(
      commands.map(command => /(git push|docker buildx build|helm push|npm publish|gh release create)/.exec(command)?.[0]),
    ).to.deep.equal(['git push', 'docker buildx build', 'helm push', 'helm push', 'npm publish', 'gh release create'])
    // the chart that "cluster values" names
    expect(commands).to.include(`helm push dist/release/envoy-1.2.3.tgz ${defaultRelease.chart.replace(/\/envoy$/, '')}`)
    expect(commands[1])
      .to.include('--platform linux/amd64,linux/arm64')
      .and.to.include('- < dist/release/atlas-image-context-1.2.3.tar.gz')
      .and.to.include('ghcr.io/goatlas-io/atlas:1.2.3')
  })
})

describe('settle', () => {
  const component = (name: string) => ({'bom-ref': `${name}@1`, name})
  const bill = (serialNumber: string, timestamp: string, names: readonly string[]) => ({
    serialNumber,
    metadata: {timestamp, component: {name: 'a-folder'}},
    components: names.map(component),
    dependencies: names.map(name => ({ref: `${name}@1`})),
  })
  const settled = settle(bill('urn:uuid:1', '2026-01-01', ['b', 'a']), {name: '@x/y', epoch: 86_400})

  it('returns the same bill at any time and for any order', () => {
    expect(settle(bill('urn:uuid:2', '2026-02-02', ['a', 'b']), {name: '@x/y', epoch: 86_400})).to.deep.equal(settled)
    expect(settled.metadata).to.deep.equal({timestamp: '1970-01-02T00:00:00.000Z', component: {name: '@x/y'}})
    expect(settled.components.map(({name}: {name: string}) => name)).to.deep.equal(['a', 'b'])
  })

  it('gives other content another serial number', () => {
    const other = settle(bill('urn:uuid:1', '2026-01-01', ['a', 'c']), {name: '@x/y', epoch: 86_400})
    expect(other.serialNumber).not.to.equal(settled.serialNumber)
  })
})
