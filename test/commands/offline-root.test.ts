/** A root that is kept offline, by the command line and real openssl: the requests, the answers, and what is refused. */
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {chmod, mkdir, readFile, readdir, stat, symlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasJson, inFolder} from '../helpers/atlas.js'
import {readKey} from '../../src/lib/pki/read.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {type OfflineRoot, type SignOptions, makeOfflineRoot} from '../helpers/offline-root.js'
import {makeCa} from '../helpers/outside-ca.js'

interface Status {
  readonly rotation?: {readonly part: string; readonly stage: string}
  readonly certificates: readonly {readonly kind: string; readonly role?: string; readonly issuer?: string; readonly serial?: string}[]
}

describe('commands: a root that is kept offline', function () {
  this.timeout(120_000)

  /** Runs the openssl commands that Atlas prints, in a folder of their own to which the keys do not go. */
  async function signAsPrinted(printed: string, requests: string, elsewhere: string): Promise<void> {
    for (const file of await readdir(requests))
      if (!file.endsWith('-key.pem')) await writeFile(path.join(elsewhere, file), await readFile(path.join(requests, file)))
    const commands = printed.split('\n').filter(line => line.includes('openssl x509 -req'))
    expect(commands.length).to.be.greaterThan(0)
    // Of OpenSSL 1.1.1, which makes no serial number otherwise.
    for (const command of commands) expect(command).to.contain(' -CAcreateserial ')
    for (const command of commands) {
      execFileSync('sh', ['-c', command], {cwd: elsewhere, stdio: 'pipe'})
      const out = command.trim().split(' ').at(-1) ?? ''
      await writeFile(path.join(requests, out), readFileSync(path.join(elsewhere, out)))
    }
  }

  const says = (text: string): string => text.replaceAll(/\s+/g, ' ')

  it('init writes the requests and takes the answers; the issuer is replaced in the same way; no key is where others can read it', () =>
    inFolder(async elsewhere =>
      inFolder(async folder => {
        const [store, requests, again] = ['store', 'requests', 'again'].map(name => path.join(folder, name)) as [string, string, string]
        const root = makeCa(elsewhere, 'ca', {pathLength: 1})
        const asked = await atlas('init', '--store', store, '--request', requests)
        expect(asked.code, asked.stderr).to.equal(0)
        expect(await readdir(folder)).to.deep.equal(['requests'])
        expect((await readdir(requests)).sort()).to.deep.equal(
          ['.gitignore', ...['issuer', 'credential-issuer'].flatMap(name => [`${name}-key.pem`, `${name}.csr`, `${name}.ext`])].sort(),
        )
        expect((await stat(requests)).mode & 0o777).to.equal(0o700)
        for (const file of await readdir(requests)) expect((await stat(path.join(requests, file))).mode & 0o777, file).to.equal(0o600)
        expect(asked.stdout + asked.stderr).not.to.contain('PRIVATE')
        const twice = await atlas('init', '--store', store, '--request', requests)
        expect([twice.code, says(twice.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 4 && text.includes('has issuer-key.pem of an earlier request already'),
        )
        const early = await atlas('init', '--store', store, '--ca-cert', root.files.certificate, '--certificate', requests)
        expect([early.code, says(early.stderr)]).to.satisfy(
          ([code, text]: [number, string]) =>
            code === 2 &&
            text.includes(`--certificate: "${requests}" has no issuer.pem`) &&
            text.includes('that the root has signed for the request issuer.csr') &&
            !text.includes('ENOENT'),
        )
        const missing = await atlas('init', '--store', store, '--ca-cert', root.files.certificate, '--certificate', again)
        expect([missing.code, says(missing.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes(`there is no directory "${again}"`),
        )
        const keyless = await atlas('init', '--store', store, '--ca-cert', root.files.certificate, '--certificate', elsewhere)
        expect([keyless.code, says(keyless.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes('has no issuer-key.pem, the key that --request wrote'),
        )
        const within = await atlas('init', '--store', store, '--request', store)
        expect([within.code, says(within.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes(`"${store}" is the directory of the store`),
        )
        const below = await atlas('init', '--store', store, '--request', path.join(store, 'requests'))
        expect([below.code, says(below.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes('is below') && text.includes('name a directory outside of it'),
        )
        expect(await readdir(folder)).to.deep.equal(['requests'])

        await signAsPrinted(asked.stderr + asked.stdout, requests, elsewhere)
        const made = await atlas(
          'init',
          '--store',
          store,
          '--ca-cert',
          root.files.certificate,
          '--certificate',
          requests,
          '--address',
          '203.0.113.7',
        )
        expect(made.code, made.stderr).to.equal(0)
        expect(says(made.stderr)).to.contain(`The private keys in ${requests} are no longer needed there: delete this directory.`)
        expect(await readFile(path.join(store, 'secret-atlas-ca.yaml'), 'utf8')).not.to.contain('ca-key.pem')
        for (const file of await readdir(store)) {
          const text = await readFile(path.join(store, file), 'utf8')
          if (/key.pem|tls.key/.test(text)) expect((await stat(path.join(store, file))).mode & 0o777, file).to.equal(0o600)
        }

        expect((await atlas('cluster', 'add', 'paris', '--address', '203.0.113.8', '--store', store)).code).to.equal(0)
        const bootstrap = path.join(folder, 'envoy')
        expect((await atlas('cluster', 'values', 'paris', '--store', store, '--format', 'bootstrap', '--output', bootstrap)).code).to.equal(
          0,
        )
        const certs = path.join(bootstrap, 'certs')
        execFileSync('openssl', [
          'verify',
          '-x509_strict',
          '-CAfile',
          path.join(certs, 'ca.crt'),
          '-untrusted',
          path.join(certs, 'tls.crt'),
          path.join(certs, 'tls.crt'),
        ])
        expect(
          (await atlas('init', '--store', store, '--ca-cert', root.files.certificate, '--certificate', requests)).code,
          'the same again',
        ).to.equal(0)

        const refused = await atlas('rotate', '--issuer', '--store', store)
        expect(refused.code).to.equal(1)
        expect(says(refused.stderr)).to.match(/"atlas rotate --issuer --request DIR.*"/)
        await symlink(store, path.join(folder, 'link'))
        const linked = await atlas('rotate', '--issuer', '--store', store, '--request', path.join(folder, 'link'))
        expect([linked.code, says(linked.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes('is the directory of the store'),
        )
        const inLink = await atlas('rotate', '--issuer', '--store', store, '--request', path.join(folder, 'link', 'requests'))
        expect([inLink.code, says(inLink.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes('the directory of the store'),
        )
        expect((await readdir(store)).filter(file => file.endsWith('.csr') || file === 'requests')).to.deep.equal([])
        const next = await atlas('rotate', '--issuer', '--store', store, '--request', again)
        expect(next.code, next.stderr).to.equal(0)
        expect(says(next.stderr + next.stdout)).to.contain(`atlas rotate --issuer --store ${store} --certificate ${again}`)
        await signAsPrinted(next.stderr + next.stdout, again, elsewhere)
        const dry = await atlas('rotate', '--issuer', '--store', store, '--certificate', again, '--dry-run')
        expect(dry.code, dry.stderr).to.equal(0)
        expect(says(dry.stderr)).not.to.contain('The private keys in')
        await chmod(again, 0o770)
        const open = await atlas('rotate', '--issuer', '--store', store, '--certificate', again)
        expect([open.code, says(open.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes('other users may write to'),
        )
        await chmod(again, 0o700)
        const begun = await atlas('rotate', '--issuer', '--store', store, '--certificate', again)
        expect(begun.code, begun.stderr).to.equal(0)
        expect(says(begun.stderr)).to.contain(`The private keys in ${again} are no longer needed there: delete this directory.`)
        const {value} = await atlasJson<Status>('rotate', '--status', '--store', store)
        expect(value.rotation).to.include({part: 'issuer', stage: 'announce'})
        const issuers = value.certificates.filter(({kind}) => kind === 'issuer')
        expect(issuers.map(({role}) => role)).to.deep.equal([undefined, 'next'])
        expect(issuers.map(({issuer}) => issuer)).to.deep.equal(['O=Example, CN=ca', 'O=Example, CN=ca'])
      }),
    ))

  it('while a rotation of the root waits, both issuers are issued again for the keys that they have, which go nowhere', () =>
    inFolder(async elsewhere =>
      inFolder(async folder => {
        const [store, company, again] = [path.join(folder, 'store'), makeOfflineRoot(folder), path.join(folder, 'again')]
        const other = makeOfflineRoot(folder, 'other')
        const brought = async (by: OfflineRoot): Promise<readonly string[]> => {
          const directory = path.join(folder, `signed-${path.basename(by.ca.files.certificate)}`)
          await mkdir(directory, {mode: 0o700})
          for (const [part, name] of [
            ['issuer', 'issuer'],
            ['credentialIssuer', 'credential-issuer'],
          ] as const) {
            const {certificate, key} = by.issue(part, {days: part === 'issuer' ? 200 : 3000})
            await writeFile(path.join(directory, `${name}.pem`), certificate)
            await writeFile(path.join(directory, `${name}-key.pem`), key.reveal(), {mode: 0o600})
          }

          return ['--ca-cert', by.ca.files.certificate, '--certificate', directory]
        }
        expect((await atlas('init', '--store', store, '--address', '203.0.113.7', ...(await brought(company)))).code).to.equal(0)
        const rotate = async (...args: readonly string[]) => atlas('rotate', '--store', store, ...args)
        const begun = await rotate('--root', '--yes', ...(await brought(other)))
        expect(begun.code, begun.stderr).to.equal(0)
        const before = await openDirectory({directory: store}).load()

        const asked = await rotate('--issuer', '--request', again)
        expect(asked.code, asked.stderr).to.equal(0)
        expect((await readdir(again)).sort()).to.deep.equal(['issuer.csr', 'issuer.ext', 'next-issuer.csr', 'next-issuer.ext'])
        expect(says(asked.stderr)).to.contain(`"O=Example, CN=offline" in ca.pem and the root "O=Example, CN=other" in next-ca.pem`)
        const empty = await rotate('--issuer', '--certificate', again)
        expect([empty.code, says(empty.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 2 && text.includes('neither issuer.pem nor next-issuer.pem is in'),
        )
        for (const [name, {ca}] of [
          ['ca', company],
          ['next-ca', other],
        ] as const) {
          await writeFile(path.join(elsewhere, `${name}.pem`), ca.certificate)
          await writeFile(path.join(elsewhere, `${name}-key.pem`), ca.key.reveal(), {mode: 0o600})
        }

        await signAsPrinted(asked.stderr, again, elsewhere)
        const dry = await rotate('--issuer', '--certificate', again, '--dry-run')
        expect(dry.code, dry.stderr).to.equal(0)
        expect((await openDirectory({directory: store}).load()).authority.get('issuer')?.certificate).to.equal(
          before.authority.get('issuer')?.certificate,
        )
        const taken = await rotate('--issuer', '--certificate', again)
        expect(taken.code, taken.stderr).to.equal(0)
        expect(says(taken.stderr)).to.contain('The issuer has its new certificate.')
        const after = await openDirectory({directory: store}).load()
        for (const part of ['issuer', 'nextIssuer'] as const) {
          const [was, is] = [before.authority.get(part)!, after.authority.get(part)!]
          expect(is.key.reveal()).to.equal(was.key.reveal())
          expect(readKey(is).notAfter.getTime() - readKey(was).notAfter.getTime()).to.be.greaterThan(150 * 86_400_000)
          expect(after.trust?.issuers).to.include(is.certificate)
          expect(after.trust?.issuers).not.to.include(was.certificate)
        }

        expect(after.rotation).to.deep.include({part: 'root', stage: 'announce'})
        expect(after.rotation?.given?.issuer).to.equal(readKey(after.authority.get('nextIssuer')!).sha256)
        const twice = await rotate('--issuer', '--certificate', again)
        expect([twice.code, says(twice.stderr)]).to.satisfy(
          ([code, text]: [number, string]) => code === 0 && text.includes('nothing is changed'),
        )
      }),
    ))

  it('what is not to be given together is refused with the reason', () =>
    inFolder(async folder => {
      const company = makeCa(folder, 'company')
      const store = path.join(folder, 'store')
      expect((await atlas('init', '--store', store)).code).to.equal(0)
      const refusals: readonly (readonly [says: string, ...args: readonly string[]])[] = [
        ['belong to --issuer or --root', '--certificate', folder],
        ['belong to --issuer or --root', '--request', path.join(folder, 'new')],
        ['--certificate and --request cannot be', '--issuer', '--request', path.join(folder, 'new'), '--certificate', folder],
        ['--request is empty', '--issuer', '--request', ''],
        ['was not signed by the root', '--issuer', '--issuer-cert', company.files.certificate, '--issuer-key', company.files.key],
        ['comes without its key', '--root', '--yes', '--ca-cert', company.files.certificate],
      ]
      for (const [text, ...args] of refusals) {
        const {code, stderr} = await atlas('rotate', '--store', store, ...args)
        expect(code, stderr).to.equal(2)
        expect(says(stderr)).to.contain(text)
      }

      expect(await readdir(folder)).not.to.include('new')
    }))

  it('init refuses a Secret beside certificates from files', () =>
    inFolder(async folder => {
      const {files} = makeCa(folder, 'company')
      const brought = [
        ['--issuer-cert', files.certificate, '--issuer-key', files.key],
        ['--credential-issuer-cert', files.certificate, '--credential-issuer-key', files.key],
        ['--certificate', folder],
      ]
      for (const flags of brought) {
        const {code, stderr} = await atlas('init', '--store', path.join(folder, 'store'), '--ca-secret', 'authority', ...flags)
        expect(code, stderr).to.equal(2)
        expect(says(stderr)).to.contain(`--ca-secret and ${flags[0] ?? ''} cannot be`)
      }
    }))

  it('the key of a root that Atlas has made is taken out of its file by the documented command, and everything else goes on', () =>
    inFolder(async folder => {
      const [store, home] = [path.join(folder, 'atlas-state'), path.join(folder, 'home')]
      await mkdir(home)
      expect((await atlas('init', '--store', store, '--address', '203.0.113.7')).code).to.equal(0)
      expect((await atlas('cluster', 'add', 'paris', '--address', '203.0.113.8', '--store', store)).code).to.equal(0)
      const documented = readFileSync('docs/how-to/own-authority.md', 'utf8')
      const [command] = /^cp .*secret-atlas-ca[^]*?(?=\n```)/m.exec(documented) ?? []
      const file = path.join(store, 'secret-atlas-ca.yaml')
      const [before, files] = [await stat(file), await readdir(store)]
      execFileSync('sh', ['-c', command ?? expect.fail('it is documented')], {
        ...{cwd: folder, stdio: 'pipe'},
        env: {...process.env, HOME: home},
      })
      expect((await stat(file)).ino, 'a server that watches the file reads no part of one').not.to.equal(before.ino)
      expect(await readdir(store)).to.have.members(files)
      expect(await readdir(folder), 'no key is where git takes it').to.have.members(['atlas-state', 'home'])
      expect(await readFile(file, 'utf8')).not.to.contain('ca-key.pem')
      expect((await stat(file)).mode & 0o777).to.equal(0o600)
      const saved = await readdir(home)
      expect(saved).to.have.length(1)
      const copy = path.join(home, saved[0] ?? '')
      expect(await readFile(copy, 'utf8')).to.contain('ca-key.pem')
      expect((await stat(copy)).mode & 0o777).to.equal(0o600)
      const status = await atlas('rotate', '--status', '--store', store)
      expect(status.code, status.stderr).to.equal(0)
      expect(status.stdout).to.match(/The key of the root "CN=Atlas root [0-9a-f]{8}" is kept offline/)
      const renewed = await atlas('rotate', '--store', store)
      expect(renewed.code, renewed.stderr).to.equal(0)
      const refused = await atlas('rotate', '--issuer', '--store', store)
      expect([refused.code, says(refused.stderr)]).to.satisfy(
        ([code, text]: [number, string]) => code === 1 && text.includes('the key of the root is kept offline'),
      )
      expect(await readFile(file, 'utf8'), 'nor does it come back').not.to.contain('ca-key.pem')
    }))

  it('two intermediates of a company with the path length 0 become issuer, credential issuer and root', () =>
    inFolder(async folder => {
      const [store, company] = [path.join(folder, 'store'), makeOfflineRoot(folder)]
      const pair = async (name: string, options: SignOptions = {}): Promise<readonly string[]> => {
        const given = {issuer: company.issue('issuer', options), 'credential-issuer': company.issue('credentialIssuer', options)}
        const flags = await Promise.all(
          Object.entries(given).map(async ([part, {certificate, key}]) => {
            const [certificateFile, keyFile] = [path.join(folder, `${name}-${part}.pem`), path.join(folder, `${name}-${part}-key.pem`)]
            await writeFile(certificateFile, certificate)
            await writeFile(keyFile, key.reveal(), {mode: 0o600})
            return [`--${part}-cert`, certificateFile, `--${part}-key`, keyFile]
          }),
        )
        return flags.flat()
      }
      const first = await pair('first')
      const init = ['init', '--store', store, '--address', '203.0.113.7']
      const short = await pair('short', {days: 300})
      const soon = await atlas(...init, ...short)
      expect([soon.code, says(soon.stderr)]).to.satisfy(
        ([code, text]: [number, string]) => code === 2 && text.includes('--yes takes this one'),
      )
      const taken = await atlas('init', '--store', path.join(folder, 'short'), '--address', '203.0.113.7', '--yes', ...short)
      expect(taken.code, taken.stderr).to.equal(0)
      const made = await atlas(...init, ...first)
      expect(made.code, made.stderr).to.equal(0)
      expect((await atlas(...init, ...first)).code, 'the same again').to.equal(0)
      const second = await pair('second')
      const other = await atlas(...init, ...second)
      expect([other.code, says(other.stderr)]).to.satisfy(
        ([code, text]: [number, string]) => code === 4 && text.includes('and it is another one'),
      )
      const refused = await atlas('rotate', '--issuer', '--store', store)
      expect(says(refused.stderr)).to.contain('the issuer is the root itself (path length 0)')
      const begun = await atlas('rotate', '--root', '--yes', '--store', store, ...second)
      expect(begun.code, begun.stderr).to.equal(0)
      const {value} = await atlasJson<Status>('rotate', '--status', '--store', store)
      expect(value.rotation).to.include({part: 'root', stage: 'announce'})
      const serials = (kind: string): readonly (string | undefined)[] =>
        value.certificates.filter(each => each.kind === kind).map(({serial}) => serial)
      expect(serials('root')).to.have.length(2)
      expect(serials('root')).to.deep.equal(serials('issuer'))
    }))
})
