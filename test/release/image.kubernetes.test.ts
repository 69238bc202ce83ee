/** The content of the image, run without the image: its entry point on its files, as its user, on a read-only root. */
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect} from 'chai'
import {type ImageRoot, makeImageRoot} from '../helpers/image-root.js'
import {readKubeconfig} from '../helpers/kubernetes/kubeconfig.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {releaseOnce} from '../helpers/release.js'
import {readiness, servingFlags} from '../helpers/serving.js'

describe('the image', function () {
  this.timeout(300_000)
  let image: ImageRoot
  before(async () => {
    image = makeImageRoot((await releaseOnce()).context)
  })

  it('answers --version and --help, without other output', async () => {
    const version = await image.run(['--version'])
    expect(version).to.include({code: 0, stderr: ''})
    expect(version.stdout).to.match(/^@goatlas\/atlas\/\d+\.\d+\.\d+ linux-\S+ node-v24\.\d+\.\d+\n$/)
    const help = await image.run(['--help'])
    expect(help).to.include({code: 0, stderr: ''})
    expect(help.stdout).to.include('serve ')
  })

  it('runs as a user without a name, without rights and without a home, and can write nowhere', async () => {
    const script = `const {writeFileSync} = require('fs')
      const tried = ['/x', '/app/x', '/tmp/x', '/home/nonroot/x', '/nodejs/x'].map(path => { try { writeFileSync(path, ''); return path } catch (error) { return error.code } })
      console.log(JSON.stringify({uid: process.getuid(), gid: process.getgid(), variables: Object.keys(process.env).sort(), tried}))`
    const {stdout, stderr} = await image.run(['-e', script], {entrypoint: ['node']})
    expect(stderr).to.equal('')
    expect(JSON.parse(stdout)).to.deep.equal({
      uid: 65_532,
      gid: 65_532,
      variables: ['NODE_DISABLE_COMPILE_CACHE', 'NODE_ENV', 'PATH'],
      tried: ['EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS'],
    })
  })

  it('initialises a store, adds a cluster, serves both until SIGTERM, and logs no warning', async () => {
    for (const args of [
      ['init', '--address', '127.0.0.1'],
      ['cluster', 'add', 'paris', '--address', '127.0.0.2'],
      ['cluster', 'list'],
      ['cluster', 'values', 'paris'],
    ]) {
      const {code, stderr} = await image.run([...args, '--store', '/store'])
      expect(code, stderr).to.equal(0)
      expect(stderr).not.to.match(/warning|error|EROFS|EACCES|ENOENT/i)
    }
    await serving(['serve', '--store', '/store'], {}, async () => {
      const status = await image.run(['status', '--store', '/store', '--json'])
      expect(status, status.stderr).to.include({code: 0, stderr: ''})
      expect(status.stdout).to.include('"paris"')
    })
  })

  /** Starts the server, does `work` once it is ready, stops it by SIGTERM; its log must have no warning. */
  async function serving(args: readonly string[], environment: Record<string, string>, work: () => Promise<void>): Promise<void> {
    const {flags, admin} = await servingFlags()
    const server = image.start([...args, ...flags], {environment})
    let words = ''
    server.stderr.on('data', chunk => (words += String(chunk)))
    const ended = new Promise(resolve => server.once('close', (code, signal) => resolve(code ?? signal)))
    try {
      expect(await readiness(`${admin}/readyz`), words).to.equal(200)
      await work()
    } finally {
      server.kill('SIGTERM')
    }
    expect(await ended, words).to.equal(0)
    const levels = words
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as {level: string}).level)
    expect([...new Set(levels)], words).to.deep.equal(['info'])
  }

  it('finds its cluster as a pod, and serves from it', async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('image')
    const kubeconfig = await kubernetes.serviceAccountKubeconfig(namespace, 'atlas')
    const {server, ca, credential} = await readKubeconfig(kubeconfig)
    const binding = ['--clusterrole=cluster-admin', `--serviceaccount=${namespace}:atlas`, '--namespace', namespace]
    expect((await kubernetes.kubectl(['create', 'rolebinding', 'atlas', ...binding])).code).to.equal(0)
    await kubernetes.untilAllowed(kubeconfig, 'create', 'secrets')
    const account = join(image.root, 'var/run/secrets/kubernetes.io/serviceaccount')
    mkdirSync(account, {recursive: true})
    const files = {token: 'token' in credential ? credential.token : '', 'ca.crt': ca, namespace}
    for (const [name, content] of Object.entries(files)) writeFileSync(join(account, name), content)
    const {hostname, port} = new URL(server)
    const environment = {KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port, POD_NAME: 'atlas-ads-0'}

    const made = await image.run(['init', '--if-missing', '--address', '127.0.0.1'], {environment})
    expect(made.code, made.stderr).to.equal(0)
    expect(made.stderr).not.to.match(/warning|error|EROFS|EACCES|ENOENT/i)
    await serving(['serve'], environment, async () => {
      const {code, stdout, stderr} = await image.run(['cluster', 'list', '--json'], {environment})
      expect({code, stdout: JSON.parse(stdout) as unknown}, stderr).to.deep.equal({code: 0, stdout: {clusters: [], findings: []}})
    })
  })

  it('writes nothing outside of the store where it could', async () => {
    const environment = {HOME: '/home/nonroot', TMPDIR: '/tmp'}
    for (const args of [['cluster', 'add', 'oslo', '--address', '127.0.0.3'], ['cluster', 'list'], ['rotate']]) {
      const {code, stderr} = await image.run([...args, '--store', '/store'], {isReadOnly: false, environment})
      expect(code, stderr).to.equal(0)
    }
    const written = ['tmp', 'home/nonroot'].flatMap(folder => readdirSync(join(image.root, folder)))
    expect(written).to.deep.equal([])
    // The same root accepts writes: Node's compile cache, if it is enabled.
    const script = `require('fs').writeFileSync('/tmp/x', ''); require('fs').writeFileSync('/home/nonroot/x', '')`
    await image.run(['-e', script], {isReadOnly: false, entrypoint: ['node']})
    expect(['tmp', 'home/nonroot'].flatMap(folder => readdirSync(join(image.root, folder)))).to.deep.equal(['x', 'x'])
  })

  it('has every module that its modules import', async () => {
    const modules = readdirSync(join(image.root, 'app/dist'), {recursive: true, encoding: 'utf8'}).filter(path => path.endsWith('.js'))
    const {dependencies} = JSON.parse(readFileSync(join(image.root, 'app/package.json'), 'utf8')) as {dependencies: Record<string, string>}
    expect(modules.length).to.be.greaterThan(100)
    const script = `const load = require('module').createRequire('/app/bin/run.js')
      for (const name of ${JSON.stringify(Object.keys(dependencies))}) load(name)
      Promise.all(${JSON.stringify(modules)}.map(path => import('/app/dist/' + path))).then(all => console.log(all.length))`
    const {code, stdout, stderr} = await image.run(['-e', script], {entrypoint: ['node'], environment: {HOME: '/'}})
    expect(stderr).to.equal('')
    expect({code, stdout: stdout.trim()}).to.deep.equal({code: 0, stdout: String(modules.length)})
  })
})
