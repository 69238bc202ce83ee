/** Slips of the pen: what a command says, and that it writes nothing. */
import {existsSync} from 'node:fs'
import {readFile, rm, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasJson, forAll, inFolder} from '../helpers/atlas.js'

describe('commands: mistakes', function () {
  this.timeout(60_000)

  it('a lifetime or a timeout outside of its range, or not shorter than that of its issuer, is wrong usage that writes nothing', () =>
    inFolder(async folder => {
      const wrong = [
        [['identity=30s'], /--set identity must be from 1h to 1y; got "30s"/],
        [['root=1s', 'issuer=1s'], /--set root must be from 30d to 100y; got "1s"/],
        [['keepaliveInterval=1ms'], /--set keepaliveInterval must be from 1s to 1h; got "1ms"/],
        [['connect=99d'], /--set connect must be from 100ms to 1m; got "99d"/],
        [['issuer=10y'], /the life of issuer, 10y, must be shorter than that of root, 10y/],
        [['issuer=10d'], /the life of identity, 30d, must be shorter than that of issuer, 10d/],
        [['root=2y'], /the life of credential, 2y, must be shorter than that of root, 2y/],
      ] as const
      await forAll(wrong, async ([settings, message]) => {
        const store = path.join(folder, settings[0])
        const {code, stderr} = await atlas('init', '--store', store, ...settings.flatMap(text => ['--set', text]))
        expect(code, stderr).to.equal(2)
        expect(stderr.replaceAll(/\s+/g, ' ')).to.match(message)
        expect(existsSync(path.join(store, 'configmap-atlas-fleet.yaml')), settings[0]).to.equal(false)
      })
      const {code, stderr} = await atlas('init', '--store', folder, '--set', 'issuer=10d', '--set', 'identity=1h')
      expect(code, stderr).to.equal(0)
    }))

  it('a directory that does not exist: every command names "atlas init", and ends with 3', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'none')
      const commands = [['cluster', 'list'], ['status'], ['rotate'], ['cluster', 'add', 'paris'], ['serve', '--admin', '127.0.0.1:0']]
      await forAll(commands, async args => {
        const {code, stderr} = await atlas(...args, '--store', store)
        expect(code, stderr).to.equal(3)
        expect(stderr)
          .to.contain('there is no Atlas in')
          .and.to.contain(`run "atlas init --store ${store}" first`)
          .and.not.to.contain('ENOENT')
        expect(existsSync(store)).to.equal(false)
      })
    }))

  it('a word too many after a command is an argument that was not expected; what is no command is not found', () =>
    inFolder(async folder => {
      const wrong = [
        [['init', 'foo'], 'Unexpected argument: foo'],
        [['init', 'foo', 'bar', '--dry-run'], 'Unexpected arguments: foo, bar'],
        [['status', 'foo'], 'Unexpected argument: foo'],
        [['cluster', 'list', 'foo'], 'Unexpected argument: foo'],
        [['cluster', 'add', 'lyon', 'extra'], 'Unexpected argument: extra'],
        [['cluster', 'foo'], 'command cluster foo not found'],
        [['foo'], 'command foo not found'],
      ] as const
      await forAll(wrong, async ([args, message]) => {
        const {code, stderr} = await atlas(...args, '--store', folder)
        expect(code, stderr).to.equal(2)
        expect(stderr.split('\n')[0]).to.equal(`Error: ${message}`)
      })
    }))

  it('a command or a flag that is mistyped: the hint has the one that was meant, and the message no value', () =>
    inFolder(async folder => {
      const wrong = [
        [['clutser', 'list'], 'command clutser list not found', '"atlas cluster list"?'],
        [['cluster', 'lsit'], 'command cluster lsit not found', '"atlas cluster list"?'],
        [['rotat'], 'command rotat not found', '"atlas rotate"?'],
        [['cluster', 'add', 'paris', '--adress', '192.0.2.1'], 'there is no flag --adress', '--address?'],
        [['cluster', 'add', 'paris', '-address=192.0.2.1', '--prot=1'], 'there is no flag -address, --prot', '--address, --port?'],
        [['cluster', 'list', '--namespcae', 'atlas'], 'there is no flag --namespcae', '--namespace?'],
        [['rotate', '--no-wiat'], 'there is no flag --no-wiat', '--no-wait?'],
      ] as const
      await forAll(wrong, async ([args, message, meant]) => {
        const {code, stderr} = await atlas(...args, '--store', folder)
        expect(code, stderr).to.equal(2)
        const [first, hint] = stderr.split('\n')
        expect(first).to.equal(`Error: ${message}`)
        expect(hint).to.contain(`  Hint: did you mean ${meant}`)
      })
    }))

  it('cluster add takes 32 named targets; a 33rd is refused, and nothing is changed', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const flags = Array.from({length: 33}, (_, index) => ['--thanos', `t${index}=t${index}.x:10901`])
      const add = async (count: number) => atlas('cluster', 'add', 'paris', '--store', folder, ...flags.slice(0, count).flat())
      const targets = async (): Promise<number> =>
        Object.keys((await atlasJson<{targets: object}>('cluster', 'show', 'paris', '--store', folder)).value.targets).length
      expect((await add(32)).code).to.equal(0)
      expect(await targets()).to.equal(32)
      const {code, stderr} = await add(33)
      expect(code).to.equal(2)
      expect(stderr).to.contain('cluster "paris" has 33 targets and 34 endpoints; at most 32 and 1000 are possible')
      expect(await targets()).to.equal(32)
    }))

  it('cluster add --thanos none says that the sidecars stay', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const add = async (...flags: string[]): Promise<string> =>
        (await atlas('cluster', 'add', 'paris', '--store', folder, ...flags)).stderr
      expect(await add('--thanos', 'none'))
        .to.contain('Its sidecars stay (')
        .and.to.contain('--replicas 0')
      expect(await add('--thanos', 'ruler=ruler.svc:10901')).not.to.contain('sidecars stay')
    }))

  it('flags that exclude each other are named in one sentence', () =>
    inFolder(async folder => {
      const wrong = [
        [['rotate', '--issuer', '--root'], '--issuer and --root cannot be used together'],
        [['rotate', '--issuer', '--ads', '--root'], '--ads and --issuer, --ads and --root cannot be used together'],
        [['init', '--ca-secret', 'x', '--ca-cert', 'y'], '--ca-cert and --ca-secret cannot be used together'],
      ] as const
      await forAll(wrong, async ([args, message]) => {
        const {code, stderr} = await atlas(...args, '--store', folder)
        expect(code, stderr).to.equal(2)
        expect(stderr.split('\n').slice(0, 2)).to.deep.equal([
          `Error: ${message}`,
          '  Hint: add --help to see arguments, flags and examples',
        ])
      })
    }))

  it('an address in the wrong form: the message names the flag and shows what was typed', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const wrong = [
        [['status', '--server', 'x y'], '--server', '"x y"'],
        [['status', '--server', 'ftp://127.0.0.1:1'], '--server', '"ftp://127.0.0.1:1"'],
        [['cluster', 'add', 'paris', '--thanos', 'http://127.0.0.1:10901'], '--thanos', '"http://127.0.0.1:10901"'],
        [['init', '--pages-server', '127.0.0.1'], '--pages-server', '"127.0.0.1"'],
        [['init', '--ads-server', 'http://127.0.0.1:10901'], '--ads-server', '"http://127.0.0.1:10901"'],
      ] as const
      await forAll(wrong, async ([args, flag, typed]) => {
        const {code, stderr} = await atlas(...args, '--store', folder)
        expect(code, stderr).to.equal(2)
        expect(stderr).to.contain(flag).and.to.contain(typed)
      })
      const away = await atlas('status', '--server', '127.0.0.1:1', '--store', folder)
      expect(away.code, away.stderr).to.equal(5)
      expect(away.stderr)
        .to.contain('http://127.0.0.1:1/status')
        .and.to.contain('port 1 is kept for another protocol')
        .and.not.to.contain('bad port')
    }))

  it('a file where a directory is wanted is wrong usage, of which each command says the same', () =>
    inFolder(async folder => {
      const [store, file] = [path.join(folder, 'store'), path.join(folder, 'README.md')]
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', '--store', store, '--address', '192.0.2.1')
      await writeFile(file, 'text')
      const wrong = [
        ['init', '--store', file],
        ['init', '--store', path.join(file, 'below', 'it')],
        ['status', '--store', file],
        ['init', '--request', file, '--store', path.join(folder, 'other')],
        ['cluster', 'values', 'paris', '--format', 'bootstrap', '--output', file, '--store', store],
      ]
      await forAll(wrong, async args => {
        const {code, stderr} = await atlas(...args)
        expect(code, stderr).to.equal(2)
        expect(stderr).to.equal(`Error: ${file} is not a directory\n  Hint: name a directory, or one that does not exist yet\n`)
      })
      expect(await readFile(file, 'utf8')).to.equal('text')
    }))

  it('where the system takes no directory, the error says so once', async () => {
    const {code, stderr} = await atlas('init', '--store', '/proc/x')
    expect(code, stderr).to.equal(5)
    expect(stderr).to.equal('Error: cannot create the directory /proc/x: /proc takes no new directory\n')
  })

  it('a command in a hint is for the store that the user named', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'my state')
      const flag = `--store '${store}'`
      await atlas('init', '--store', store)
      const {stderr: alone} = await atlas('status', '--store', store)
      expect(alone).to.contain(`start one with "atlas serve ${flag}"; "atlas cluster list ${flag}" shows`)
      const {value} = await atlasJson<{error: {hint: string}}>('cluster', 'show', 'nowhere', '--store', store)
      expect(value.error.hint).to.equal(`run "atlas cluster list ${flag}" to see all`)
      const {stderr: none} = await atlas('rotate', '--store', path.join(folder, 'none'))
      expect(none).to.contain(`run "atlas init --store ${path.join(folder, 'none')}" first`)
    }))

  it('a group that is not listed is accepted with a warning, which has the command that lists it', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--groups', 'europe')
      const add = ['cluster', 'add', 'paris', '--store', folder, '--group', 'europe', '--group', 'asai']
      const {code, stderr} = await atlas(...add)
      expect(code, stderr).to.equal(0)
      const [, command = ''] = /Warning: group asai is not listed in the settings, .*: run "atlas ([^"]+)"/.exec(stderr) ?? []
      expect(command).to.equal(`init --groups asai,europe --store ${folder}`)
      expect((await atlas(...command.split(' '))).code).to.equal(0)
      expect((await atlas(...add)).stderr).to.not.contain('Warning')
    }))

  it('in a directory, init names the address of the server that it assumes, until --ads-server sets another', () =>
    inFolder(async folder => {
      const {stderr} = await atlas('init', '--store', folder, '--address', '203.0.113.7')
      expect(stderr).to.contain('Assumed: the observability Envoy connects to the server at atlas-ads.atlas.svc.cluster.local:6305')
      expect(stderr).to.contain(`"atlas init --ads-server HOST:PORT --store ${folder}"`)
      expect((await atlas('init', '--store', folder, '--ads-server', '127.0.0.1:6305')).stderr).to.not.contain('Assumed')
    }))

  it('the trust domain never changes', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const changed = await atlasJson<{error: {code: string}}>('init', '--store', folder, '--trust-domain', 'other.example')
      expect(changed.code).to.equal(4)
      expect(changed.value.error.code).to.equal('conflict')
    }))

  it('an installation keeps its namespace: a flag or a variable that names another one moves nothing', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--address', '203.0.113.7')
      const settings = async (): Promise<string> => readFile(path.join(folder, 'configmap-atlas-fleet.yaml'), 'utf8')
      const before = await settings()
      for (const args of [[], ['--address', '203.0.113.8']]) {
        const moved = await atlas('init', '--store', folder, '--namespace', 'elsewhere', ...args)
        expect([moved.code, moved.stderr]).to.deep.equal([
          4,
          `Error: this installation is that of namespace "atlas", which is part of every name in it; it cannot become that of "elsewhere"
  Hint: leave --namespace (or ATLAS_NAMESPACE) out, or make a new installation in another store
`,
        ])
      }
      expect(await settings()).to.equal(before)
      expect((await atlas('init', '--store', folder, '--namespace', 'atlas')).code).to.equal(0)
    }))

  it('a certificate that signs and cannot be read is named by each command, with what brings it back', () =>
    inFolder(async folder => {
      const [file, at] = [path.join(folder, 'secret-atlas-issuer.yaml'), ['--store', folder]]
      await atlas('init', ...at, '--address', '203.0.113.7')
      await writeFile(file, 'no: [yaml')
      const plain = (text: string): string => text.replaceAll(/\s+/g, ' ')
      const added = await atlas('cluster', 'add', 'rome', ...at, '--address', '198.51.100.4')
      expect(plain(added.stdout + added.stderr)).to.match(
        /Warning: the issuer \(Secret atlas-issuer\) cannot be read \(.*secret-atlas-issuer\.yaml, .*\): what is due is not issued; restore it from a backup, or delete it and run "atlas init .*again, which makes another issuer\. The Envoy of rome cannot join before it has certificates/,
      )
      const rotated = await atlas('rotate', ...at)
      expect([rotated.code, plain(rotated.stderr)]).to.satisfy(
        ([code, text]: [number, string]) => code === 1 && /delete it and run "atlas init .*again, which makes another issuer/.test(text),
      )
      await rm(file)
      await atlas('init', ...at)
      expect((await atlas('rotate', ...at)).code).to.equal(0)

      const credentialIssuer = path.join(folder, 'secret-atlas-credential-issuer.yaml')
      const kept = await readFile(credentialIssuer, 'utf8')
      await writeFile(credentialIssuer, 'no: [yaml')
      const ads = await atlas('rotate', '--ads', ...at)
      expect([ads.code, plain(ads.stderr)]).to.satisfy(
        ([code, text]: [number, string]) =>
          code === 1 &&
          /the credential issuer cannot be read: .*secret-atlas-credential-issuer\.yaml, .*restore it from a backup, or replace the root: "atlas rotate --root/.test(
            text,
          ),
      )
      await writeFile(credentialIssuer, kept)

      await writeFile(path.join(folder, 'secret-rome-envoy-ads.yaml'), 'no: [yaml')
      const values = await atlas('cluster', 'values', 'rome', ...at, '--format', 'secret', '--show-secrets')
      expect(plain(values.stderr)).to.match(/delete that object and run "atlas cluster add rome .*" again to get a new credential/)

      await writeFile(path.join(folder, 'secret-atlas-ca.yaml'), 'no: [yaml')
      const without = await atlas('cluster', 'add', 'oslo', ...at, '--address', '198.51.100.5')
      expect(plain(without.stdout + without.stderr)).to.match(
        /Warning: the root \(Secret atlas-ca\) cannot be read \(.*secret-atlas-ca\.yaml, .*\): nothing is issued on its own until it is restored, such as from a backup\./,
      )
    }))
})
