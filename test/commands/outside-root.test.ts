/** `atlas init --ca-cert` on a directory: what it takes and refuses. Which certificates are taken is tested in test/pki/import-root.test.ts. */
import {chmod, readdir, readFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasJson, inFolder} from '../helpers/atlas.js'
import {makeCa} from '../helpers/outside-ca.js'

describe('commands: a root from outside', function () {
  this.timeout(120_000)

  const flagsOf = ({files}: {readonly files: {readonly certificate: string; readonly key: string}}): readonly string[] => [
    '--ca-cert',
    files.certificate,
    '--ca-key',
    files.key,
  ]

  it('becomes the root of a new installation, whose every certificate is below it and in its trust domain', () =>
    inFolder(async folder => {
      const [store, company] = [path.join(folder, 'store'), makeCa(folder, 'company')]
      const own = makeCa(folder, 'own', {signer: company, pathLength: 1})
      const init = ['init', '--store', store, '--address', '203.0.113.7', '--trust-domain', 'thanos.example.com', ...flagsOf(own)]
      const made = await atlas(...init)
      expect(made.code, made.stderr).to.equal(0)
      expect((await atlas('cluster', 'add', 'paris', '--address', '203.0.113.8', '--store', store)).code).to.equal(0)
      const {value} = await atlasJson<{certificates: {kind: string; issuer?: string}[]}>('rotate', '--status', '--store', store)
      expect(value.certificates.filter(({kind}) => kind === 'root')).to.have.length(1)
      expect(value.certificates.find(({kind}) => kind === 'issuer')?.issuer).to.match(/^O=Example, CN=own$/)
      const bootstrap = path.join(folder, 'envoy')
      expect((await atlas('cluster', 'values', 'paris', '--store', store, '--format', 'bootstrap', '--output', bootstrap)).code).to.equal(0)
      expect(await readFile(path.join(bootstrap, 'certs/ca.crt'), 'utf8')).to.equal(own.certificate)
      for (const place of [store, bootstrap])
        for (const file of await readdir(place, {recursive: true, withFileTypes: true}))
          if (file.isFile())
            expect(await readFile(path.join(file.parentPath, file.name), 'utf8'), file.name).not.to.contain('atlas.internal')

      expect((await atlas(...init)).code, 'the same again changes nothing').to.equal(0)
      const other = await atlas('init', '--store', store, ...flagsOf(company))
      expect(other.code).to.equal(4)
      expect(other.stderr.replaceAll(/\s+/g, ' ')).to.contain('there is a root here already (Secret atlas-ca), and it is another one')

      const rotated = await atlas('rotate', '--root', '--yes', '--store', store, ...flagsOf(company))
      expect(rotated.code, rotated.stderr).to.equal(0)
      const later = await atlasJson<{certificates: {kind: string; issuer?: string}[]}>('rotate', '--status', '--store', store)
      const roots = later.value.certificates.filter(({kind}) => kind === 'root').map(({issuer}) => issuer)
      expect(roots).to.deep.equal(['O=Example, CN=company', 'O=Example, CN=company'])
      const misplaced = await atlas('rotate', '--issuer', '--store', store, ...flagsOf(company))
      expect([misplaced.code, misplaced.stderr]).to.satisfy(
        ([code, text]: [number, string]) => code === 2 && text.includes('--ca-cert belongs to --root'),
      )
    }))

  it('is refused with the reason, and nothing is written', () =>
    inFolder(async folder => {
      const company = makeCa(folder, 'company')
      const young = makeCa(folder, 'young', {signer: company, days: 90})
      const short = makeCa(folder, 'short', {signer: company, pathLength: 0})
      const refusals: readonly (readonly [says: string, ...args: readonly string[]])[] = [
        ['within a year, and each new root asks for work in every cluster', ...flagsOf(young)],
        ['has the path length 0, and 1 is needed', ...flagsOf(short)],
        ['or bring two of one CA with the path length 0, with --issuer-cert', ...flagsOf(short)],
        ['--certificate needs the certificate of the root', '--certificate', folder],
        ['must be provided when using --issuer-cert: --issuer-key', '--issuer-cert', short.files.certificate],
        ["has another certificate's private key", '--ca-cert', young.files.certificate, '--ca-key', company.files.key, '--yes'],
        ['--ca-key: cannot read', '--ca-cert', young.files.certificate, '--ca-key', path.join(folder, 'none')],
        ['comes without its key, so that Atlas can make no issuers below it', '--ca-cert', company.files.certificate],
        ['--ca-cert is empty', '--ca-cert', '', '--ca-key', young.files.key],
      ]
      const store = path.join(folder, 'store')
      for (const [says, ...args] of refusals) {
        const {code, stderr} = await atlas('init', '--store', store, ...args)
        expect(code, stderr).to.equal(2)
        expect(stderr.replaceAll(/\s+/g, ' ')).to.contain(says)
        expect(stderr).not.to.contain('PRIVATE')
      }

      expect(await readdir(folder)).not.to.include('store')
      await chmod(young.files.key, 0o600)
      const taken = await atlas('init', '--store', store, ...flagsOf(young), '--yes')
      expect(taken.code, taken.stderr).to.equal(0)
    }))
})
