/**
 * The commands of docs/how-to/renew-credentials.md as they are printed, on a directory: each brings the newest credential, and none shows its key.
 * kubectl, sops and kubeseal are stand-ins that take exactly the arguments of the page; real ones: test/manifest/formats.kubernetes.test.ts.
 */
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {load, loadAll} from 'js-yaml'
import type {Credential} from '../../src/lib/model/authority.js'
import {objectNames, parseClusterName} from '../../src/lib/model/names.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {atlas, atlasBin, inFolder} from '../helpers/atlas.js'
import {type Block, blocksOf, shell} from '../helpers/page.js'
import type {Ran} from '../helpers/ran.js'

const paris = parseClusterName('paris')

/** By their names on PATH. sops changes each line, so that nothing of a key can be read, and can undo it. */
const programs = {
  atlas: `exec "${process.execPath}" "${atlasBin}" "$@"`,
  kubectl: '[ "$*" = "--context paris apply --server-side -f -" ] || exit 64; cat > applied.yaml',
  sops: `case "$1" in
encrypt) [ "$2 $4 $#" = "--filename-override /dev/stdin 4" ] || exit 64; base64 /dev/stdin;;
decrypt) [ $# = 2 ] || exit 64; base64 -d "$2";;
*) exit 64;;
esac`,
  kubeseal: '[ "$1 $3 $4 $#" = "--cert --format yaml 4" ] || exit 64; cat "$2" > /dev/null; base64 /dev/stdin',
}

interface Place {
  readonly folder: string
  run(commands: string): Promise<Ran>
  /** A newer credential is in the Secret, as after half of the life of the one before. */
  renew(): Promise<Credential>
}

describe('docs/how-to/renew-credentials.md', function () {
  this.timeout(60_000)
  let blocks: readonly Block[]
  before(async () => {
    blocks = await blocksOf('how-to/renew-credentials.md')
  })

  const block = (heading: string, index = 0): string =>
    blocks.filter(each => each.heading === heading)[index]?.text ?? expect.fail(`nothing to run under "${heading}"`)

  const inPlace = async (act: (place: Place) => Promise<void>): Promise<void> =>
    inFolder(async folder => {
      const [bin, store] = [path.join(folder, 'bin'), path.join(folder, 'state')]
      await mkdir(bin)
      for (const [name, text] of Object.entries(programs)) {
        await writeFile(path.join(bin, name), `#!/bin/bash\nset -eu\n${text}\n`)
        await chmod(path.join(bin, name), 0o755)
      }

      await mkdir(path.join(folder, 'clusters', 'paris'), {recursive: true})
      for (const args of [
        ['init', '--address', '203.0.113.7'],
        ['cluster', 'add', 'paris', '--address', '203.0.113.8'],
      ])
        expect((await atlas(...args, '--store', store)).code).to.equal(0)
      const env = {PATH: `${bin}:${process.env['PATH'] ?? ''}`, ATLAS_STORE: store}
      await act({
        folder,
        run: async commands => shell(commands, {cwd: folder, env}),
        async renew() {
          expect((await atlas('rotate', '--ads', 'paris', '--store', store)).code).to.equal(0)
          const fleet = await openDirectory({directory: store, create: false}).load()
          return fleet.credentials.get(paris) ?? expect.fail('no credential')
        },
      })
    })

  const succeeds = async (ran: Promise<Ran>): Promise<string> => {
    const {code, stdout, stderr} = await ran
    expect(code, stderr).to.equal(0)
    expect(stdout + stderr).not.to.contain('PRIVATE KEY')
    return stdout
  }

  /** What the Secret in a file holds. */
  async function certificateIn(text: string): Promise<string> {
    const secret = load(text) as {metadata: {name: string}; type: string; data: Record<string, string>}
    expect([secret.metadata.name, secret.type]).to.deep.equal([objectNames.credential(paris), 'kubernetes.io/tls'])
    return Buffer.from(secret.data['tls.crt'] ?? '', 'base64').toString()
  }

  it('by hand: the Secret for kubectl, and the files of an Envoy outside Kubernetes, have the newest credential', () =>
    inPlace(async ({folder, run, renew}) => {
      await succeeds(run(block('By hand', 1).replace('--output', '--bind-address 127.0.0.1 --output')))
      const {certificate} = await renew()
      await succeeds(run(block('By hand')))
      expect(await certificateIn(await readFile(path.join(folder, 'applied.yaml'), 'utf8'))).to.equal(certificate)
      await succeeds(run(block('By hand', 1)))
      expect(await readFile(path.join(folder, 'envoy-paris', 'certs', 'tls.crt'), 'utf8')).to.equal(certificate)
      expect(await readFile(path.join(folder, 'envoy-paris', 'envoy.json'), 'utf8')).to.contain('127.0.0.1')
    }))

  it('Flux: git gets the newest credential encrypted, and the check tells when it is no longer the newest, without a key', () =>
    inPlace(async ({folder, run, renew}) => {
      const {certificate} = await renew()
      await succeeds(run(`git init -q\n${block('Flux')}`))
      expect(await succeeds(run('git diff --cached --name-only'))).to.equal('clusters/paris/atlas-key.sops.yaml\n')
      const file = await readFile(path.join(folder, 'clusters/paris/atlas-key.sops.yaml'), 'utf8')
      expect(await certificateIn(Buffer.from(file, 'base64').toString())).to.equal(certificate)
      expect(await succeeds(run(block('Flux', 1)))).to.equal('')
      await renew()
      const {code, stdout} = await run(block('Flux', 1))
      expect(code).to.equal(1)
      expect(
        stdout
          .split('\n')
          .filter(line => /^[<>]/.test(line))
          .map(line => line.split(':')[0]?.slice(1).trim()),
      ).to.deep.equal(['tls.crt', 'tls.crt'])
    }))

  it('Argo CD: git gets the newest credential sealed', () =>
    inPlace(async ({folder, run, renew}) => {
      const {certificate} = await renew()
      await writeFile(path.join(folder, 'clusters/paris/seal.pem'), 'of the controller')
      await succeeds(run(`git init -q\n${block('Argo CD')}`))
      expect(await succeeds(run('git diff --cached --name-only'))).to.equal('clusters/paris/atlas-key.yaml\n')
      const file = await readFile(path.join(folder, 'clusters/paris/atlas-key.yaml'), 'utf8')
      expect(await certificateIn(Buffer.from(file, 'base64').toString())).to.equal(certificate)
    }))

  it('External Secrets: what is pushed is the Secret of Atlas, and what is made from it downstream is the one that chart envoy mounts', async () => {
    const examples = await blocksOf('how-to/secrets-in-gitops.md')
    const objects = examples
      .filter(({heading, language}) => heading === 'External Secrets' && language === 'yaml')
      .flatMap(({text}) => loadAll(text) as Example[])
    expect(objects.map(({apiVersion, kind}) => `${apiVersion} ${kind}`)).to.deep.equal([
      'external-secrets.io/v1alpha1 PushSecret',
      'external-secrets.io/v1 ExternalSecret',
    ])
    const [pushed, made] = objects.map(({spec}) => spec)
    expect(pushed?.selector?.secret.name).to.equal(objectNames.credential(paris))
    expect(made?.target).to.deep.equal({name: objectNames.credential(paris), template: {type: 'kubernetes.io/tls'}})
    expect(pushed?.data?.map(({match}) => match.remoteRef.remoteKey)).to.deep.equal(made?.dataFrom?.map(({extract}) => extract.key))
    // As the page says, within two of these a new credential arrives.
    expect([pushed?.refreshInterval, made?.refreshInterval]).to.deep.equal(['1h', '1h'])
  })
})

interface Example {
  readonly apiVersion: string
  readonly kind: string
  readonly spec: {
    readonly refreshInterval: string
    readonly selector?: {readonly secret: {readonly name: string}}
    readonly data?: readonly {readonly match: {readonly remoteRef: {readonly remoteKey: string}}}[]
    readonly target?: object
    readonly dataFrom?: readonly {readonly extract: {readonly key: string}}[]
  }
}
