/** The rules by which git does not take private keys: asked of git itself; a person's own rules stay. */
import {execFile} from 'node:child_process'
import {lstat, mkdir, readFile, readdir, stat, symlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {promisify} from 'node:util'
import {expect} from 'chai'
import {ignoreKeys, writeGitignore} from '../../../src/lib/store/directory/gitignore.js'
import {inFolder} from '../../helpers/atlas.js'

const run = promisify(execFile)
const KEYS = ['certs/tls.key', 'upstream/*/tls.key', 'issuer-key.pem']

describe('store/directory: rules for git', () => {
  const withGit = async (use: (folder: string, ignored: () => Promise<readonly string[]>) => Promise<void>): Promise<void> =>
    inFolder(async folder => {
      await run('git', ['init', '-q'], {cwd: folder})
      const names = ['certs/tls.key', 'certs/.tls.key.0123456789ab', 'certs/tls.crt', 'upstream/a/tls.key', 'issuer-key.pem', 'envoy.json']
      for (const name of names) {
        await mkdir(path.dirname(path.join(folder, name)), {recursive: true})
        await writeFile(path.join(folder, name), 'x')
      }

      await use(folder, async () => {
        const {stdout} = await run('git', ['ls-files', '--others', '--exclude-standard'], {cwd: folder})
        const taken = new Set(stdout.trim().split('\n'))
        return names.filter(name => !taken.has(name))
      })
    })

  const keys = ['certs/tls.key', 'certs/.tls.key.0123456789ab', 'upstream/a/tls.key', 'issuer-key.pem']

  it('keep the keys and their drafts out, and nothing else; written once, for this user alone', () =>
    withGit(async (folder, ignored) => {
      expect(await ignored()).to.deep.equal([])
      expect(await ignoreKeys(folder, KEYS)).to.contain('.gitignore: rules for the private keys')
      expect(await ignored()).to.deep.equal(keys)
      const file = path.join(folder, '.gitignore')
      const before = await readFile(file, 'utf8')
      expect((await stat(file)).mode & 0o777).to.equal(0o600)
      expect(await ignoreKeys(folder, KEYS)).to.equal(undefined)
      expect(await readFile(file, 'utf8')).to.equal(before)
    }))

  it('are added to those of a person, which stay, with the mode of the file', () =>
    withGit(async (folder, ignored) => {
      const file = path.join(folder, '.gitignore')
      await writeFile(file, 'envoy.json\n*.key\n!tls.key', {mode: 0o640})
      expect(await ignoreKeys(folder, KEYS)).to.contain('.gitignore: rules were added')
      expect(await readFile(file, 'utf8')).to.match(/^envoy\.json\n\*\.key\n!tls\.key\n# written by atlas/)
      expect((await stat(file)).mode & 0o777).to.equal(0o640)
      expect(await ignored()).to.have.members([...keys, 'envoy.json'])
      expect(await ignoreKeys(folder, KEYS), 'once').to.equal(undefined)
    }))

  for (const rules of ['*.key\n*.pem', 'certs/\nupstream/\n*.pem', 'certs/tls.key\ntls.key\n/issuer-key.pem'])
    it(`are written for drafts alone where a person's own cover the keys alone: ${rules.replaceAll('\n', ' ')}`, () =>
      withGit(async (folder, ignored) => {
        const file = path.join(folder, '.gitignore')
        await writeFile(file, rules)
        await writeFile(path.join(folder, '.issuer-key.pem.0123456789ab'), 'x')
        expect(await ignoreKeys(folder, KEYS)).to.contain('.gitignore: rules were added')
        const added = (await readFile(file, 'utf8')).slice(rules.length)
        expect(added)
          .to.contain('\n/.issuer-key.pem.*\n')
          .and.not.to.match(/^\/.*(?:tls\.key|issuer-key\.pem)$/m)
        expect(await ignored()).to.include.members(keys)
        const {stdout} = await run('git', ['ls-files', '--others', '--exclude-standard'], {cwd: folder})
        expect(stdout).not.to.contain('key')
        expect(await ignoreKeys(folder, KEYS), 'once').to.equal(undefined)
      }))

  for (const rules of ['*', '.*\n*.key\n*.pem', 'certs/\nupstream/\n*.pem\n.*', '/certs\nupstream/*\nissuer-key.pem\n.issuer-key.pem.*'])
    it(`are not written where a person's own cover the keys and their drafts: ${rules.replaceAll('\n', ' ')}`, () =>
      withGit(async (folder, ignored) => {
        await writeFile(path.join(folder, '.gitignore'), rules)
        expect(await ignoreKeys(folder, KEYS)).to.equal(undefined)
        expect(await readFile(path.join(folder, '.gitignore'), 'utf8')).to.equal(rules)
        expect(await ignored()).to.include.members(keys)
      }))

  it('do not take the place of a link or a directory of that name, which is told', () =>
    inFolder(async folder => {
      const [linked, blocked] = [path.join(folder, 'linked'), path.join(folder, 'blocked')]
      await mkdir(linked)
      await writeFile(path.join(folder, 'theirs'), 'theirs\n')
      await symlink('../theirs', path.join(linked, '.gitignore'))
      await mkdir(path.join(blocked, '.gitignore'), {recursive: true})
      for (const directory of [linked, blocked]) {
        expect(await ignoreKeys(directory, KEYS)).to.contain('stays as it is')
        expect(await writeGitignore(directory)).to.contain('stays as it is')
        expect(await readdir(directory)).to.deep.equal(['.gitignore'])
      }

      expect((await lstat(path.join(linked, '.gitignore'))).isSymbolicLink()).to.equal(true)
      expect(await readFile(path.join(folder, 'theirs'), 'utf8')).to.equal('theirs\n')
    }))
})
