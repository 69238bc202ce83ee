/** The files of `npm run release`: complete, checkable, the same bytes each time, and without development files. */
import {execFile} from 'node:child_process'
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect} from 'chai'
import {programNamed} from '../../scripts/programs/catalogue.mjs'
import {findProgram} from '../../scripts/programs/find.mjs'
import {chartsOf} from '../../scripts/release/charts.mjs'
import {readImage} from '../../scripts/release/dockerfile.mjs'
import {filesBelow} from '../../scripts/release/prune.mjs'
import {checkout, release, releaseOnce, temporary, version} from '../helpers/release.js'

interface Bill {
  bomFormat: string
  specVersion: string
  serialNumber: string
  metadata: {timestamp: string; component: {name: string; version: string; purl: string}}
  components: Array<{name: string; version: string; purl: string; hashes?: Array<{alg: string}>}>
}

const run = promisify(execFile)
const earlier = join(checkout, 'dist/release', `of-a-test-${process.pid}.txt`)
const orphan = join(checkout, 'dist/lib', `of-a-test-${process.pid}.js`)

describe('a release', function () {
  this.timeout(300_000)
  let made: string
  let context: string
  const read = (name: string) => readFileSync(join(made, name), 'utf8')
  const listed = async (archive: string) => (await run('tar', ['-tzf', join(made, archive)])).stdout.trim().split('\n')

  before('makes it, in a checkout where an earlier one stands', async () => {
    mkdirSync(join(checkout, 'dist/release'), {recursive: true})
    writeFileSync(earlier, '')
    ;({made, context} = await releaseOnce())
  })
  after(() => [earlier, orphan].forEach(file => rmSync(file, {force: true})))

  it('has the npm package, the charts, the image context, the bill of materials, its origin, and checksums', () => {
    expect(readdirSync(made)).to.have.members([
      'SHA256SUMS',
      `goatlas-atlas-${version}.tgz`,
      `atlas-${version}.tgz`,
      `envoy-${version}.tgz`,
      `atlas-image-context-${version}.tar.gz`,
      `atlas-${version}.cdx.json`,
      'release.json',
    ])
  })

  it('survives a build, which removes output whose source was deleted', async () => {
    writeFileSync(orphan, '')
    // Without this stamp dist is compiled again.
    rmSync(join(checkout, 'node_modules/.cache/atlas/dist'), {force: true})
    await run(process.execPath, [join(checkout, 'scripts/launch.mjs'), 'build'])
    expect({earlier: existsSync(earlier), orphan: existsSync(orphan)}).to.deep.equal({earlier: true, orphan: false})
  })

  it('can be checked with sha256sum, which finds a changed byte', async () => {
    const {stdout} = await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], {cwd: made})
    const checked = stdout.trim().split('\n')
    expect(checked).to.have.members(
      readdirSync(made)
        .filter(name => name !== 'SHA256SUMS')
        .map(name => `${name}: OK`),
    )
    const changed = temporary('changed')
    await run('cp', ['-r', `${made}/.`, changed])
    writeFileSync(join(changed, 'release.json'), read('release.json').replace('{', '{ '))
    const failure = (await run('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], {cwd: changed}).catch((error: unknown) => error)) as {
      stdout: string
    }
    expect(failure.stdout).to.include('release.json: FAILED')
  })

  it('is the same bytes when made again, under another umask and in another time zone; without --dry-run it publishes nothing, and says why', async () => {
    const again = temporary('again')
    const {code, stdout, stderr} = await release(['--output', again], {umask: '077', env: {TZ: 'Asia/Tokyo', LC_ALL: 'C'}})
    expect(readFileSync(join(again, 'SHA256SUMS'), 'utf8')).to.equal(read('SHA256SUMS'))
    expect(stderr).to.include('Nothing was published')
    // For a tagged and clean checkout it prints the commands instead.
    if (stderr.includes('can not be published yet')) expect({code, stdout}).to.deep.equal({code: 1, stdout: ''})
    else expect({code, commands: stdout.includes('npm publish')}).to.deep.equal({code: 0, commands: true})
  })

  it('records its commit and its tools', async () => {
    const {stdout} = await run('git', ['-C', checkout, 'log', '-1', '--format=%H %ct'])
    const [commit, time] = stdout.trim().split(' ')
    const origin = JSON.parse(read('release.json')) as {madeWith: Record<string, string>}
    expect(origin).to.deep.include({version, commit, sourceDateEpoch: Number(time)})
    expect(Object.keys(origin.madeWith)).to.deep.equal(['node', 'npm', 'helm'])
  })

  it('has no earlier release and no TypeScript sources in the npm package', async () => {
    const files = await listed(`goatlas-atlas-${version}.tgz`)
    expect(files).to.include('package/dist/commands/init.js')
    expect(files.filter(path => /dist\/release|\.tgz$|charts\/|Dockerfile|\.map$/.test(path))).to.deep.equal([])
  })

  it('has charts of this version, with this image, that Helm accepts', async () => {
    const helm = findProgram(programNamed('helm'))!
    expect(chartsOf(checkout)).to.deep.equal(['atlas', 'envoy'])
    for (const name of chartsOf(checkout)) {
      const {stdout} = await run(helm, ['show', 'chart', join(made, `${name}-${version}.tgz`)])
      expect(stdout).to.match(new RegExp(`^name: ${name}$`, 'm'))
      expect(stdout).to.match(new RegExp(`^version: ${version}$`, 'm'))
      expect(stdout).to.match(new RegExp(`^appVersion: ["']?${version}["']?$`, 'm'))
      const files = await listed(`${name}-${version}.tgz`)
      expect(files).to.include(`${name}/values.schema.json`)
      expect(files.filter(path => path.includes('/ci/'))).to.deep.equal([])
    }
  })

  it('has a context with exactly the files that the Dockerfile copies', () => {
    const {sources} = readImage(readFileSync(join(context, 'Dockerfile'), 'utf8'))
    expect(sources).to.deep.equal(['app'])
    expect(readdirSync(context).sort()).to.deep.equal(['Dockerfile', ...sources])
    expect(readFileSync(join(context, 'Dockerfile'), 'utf8')).to.equal(readFileSync(join(checkout, 'Dockerfile'), 'utf8'))
  })

  it('has no test, source map, type, document, key or link in the context, and nothing that is compiled', () => {
    const files = filesBelow(join(context, 'app'))
    expect(files.length).to.be.greaterThan(1000)
    expect(
      files.filter(path => !/\.(js|cjs|mjs|json|proto)$/.test(path) && !/(^|\/)(licen[cs]e|notice|copying)[^/]*$/i.test(path)),
    ).to.deep.equal([])
    expect(files.filter(path => /(^|\/)(tests?|__tests__|fixtures|docs|examples?|\.bin)\//.test(path))).to.deep.equal([])
    const keys = files.filter(path => /PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/]{30}/.test(readFileSync(join(context, 'app', path), 'latin1')))
    expect(keys).to.deep.equal([])
  })

  it('has files in the context that are root’s, and that no other user can change', async () => {
    const {stdout} = await run('tar', ['--numeric-owner', '-tvzf', join(made, `atlas-image-context-${version}.tar.gz`)])
    const entries = stdout.trim().split('\n')
    expect(entries.filter(line => !/^(drwxr-xr-x|-rw[-x]r-[-x]r-[-x]) 0\/0 /.test(line))).to.deep.equal([])
    expect(entries.find(line => line.endsWith(' app/bin/run.js'))).to.match(/^-rwxr-xr-x/)
  })

  it('installs no development package, and names every installed one in the bill of materials, with its hash', () => {
    const bill = JSON.parse(read(`atlas-${version}.cdx.json`)) as Bill
    expect(bill).to.deep.include({bomFormat: 'CycloneDX', specVersion: '1.5'})
    expect(bill.serialNumber).to.match(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(bill.metadata.component).to.deep.include({name: '@goatlas/atlas', version, purl: `pkg:npm/%40goatlas/atlas@${version}`})
    const {sourceDateEpoch} = JSON.parse(read('release.json')) as {sourceDateEpoch: number}
    expect(bill.metadata.timestamp).to.equal(new Date(sourceDateEpoch * 1000).toISOString())

    const named = bill.components.map(({name, version: its}) => `${name}@${its}`)
    expect(new Set(named)).to.deep.equal(new Set(installedIn(join(context, 'app'))))
    expect(bill.components.filter(({hashes = []}) => !hashes.some(({alg}) => alg === 'SHA-512')).map(({purl}) => purl)).to.deep.equal([])
    const {devDependencies} = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {devDependencies: Record<string, string>}
    const asked = Object.entries(devDependencies).map(([name, its]) => `${name}@${its}`)
    const shipped = new Set(named)
    // The Kubernetes client depends on the types of Node, too.
    expect(asked.filter(name => shipped.has(name) && !name.startsWith('@types/'))).to.deep.equal([])
    expect(JSON.stringify(bill)).not.to.include(checkout)
  })

  it('refuses to empty a folder that is not a release', async () => {
    const folder = temporary('foreign')
    writeFileSync(join(folder, 'letter.txt'), 'dear')
    const {code, stderr} = await release(['--dry-run', '--output', folder])
    expect(code).to.equal(1)
    expect(stderr).to.include('--output needs an empty folder or an earlier release')
    expect(readdirSync(folder)).to.deep.equal(['letter.txt'])
  })
})

/** `name@version` of each package in a node_modules below. */
function installedIn(app: string): readonly string[] {
  return filesBelow(app)
    .filter(path => /(^|\/)node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path))
    .map(path => JSON.parse(readFileSync(join(app, path), 'utf8')) as {name: string; version: string})
    .map(({name, version: its}) => `${name}@${its}`)
}
