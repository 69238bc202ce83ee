/** Directories for private keys: whose they must be, and that no file in them is overwritten. */
import {chmod, chown, mkdir, readFile, readdir, stat, symlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {createInOwn, requireNotStore, requireOwn} from '../../src/lib/cli/own-directory.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {inFolder} from '../helpers/atlas.js'
import {thrownBy} from '../helpers/thrown.js'

const NOBODY = 65_534
const files = ['key.pem', 'request.csr'].map(name => ({path: name, text: `${name} of this run`}))

describe('cli: directories for private keys', () => {
  const failure = async (work: Promise<unknown>): Promise<AtlasError> => {
    const error = await work.catch((thrown: unknown) => thrown)
    if (error instanceof AtlasError) return error
    throw new Error(`no AtlasError: ${String(error)}`)
  }

  it('one that does not exist is made for this user alone, and its files have mode 0600', () =>
    inFolder(async folder => {
      const made = path.join(folder, 'a', 'b')
      await createInOwn(made, files)
      expect((await stat(made)).mode & 0o777).to.equal(0o700)
      for (const name of await readdir(made)) expect((await stat(path.join(made, name))).mode & 0o777, name).to.equal(0o600)
      requireOwn(made, '--certificate')
      requireOwn(path.join(folder, 'missing'), '--certificate')
    }))

  it('one that its group or all users may write to is refused, with the remedy; one that they may read is not', () =>
    inFolder(async folder => {
      for (const mode of [0o770, 0o1777, 0o702]) {
        await chmod(folder, mode)
        const refused = await failure(createInOwn(folder, files))
        expect([refused.code, refused.message, refused.hint].join(' ')).to.match(/^invalid --request: other users may write .*chmod go-w/)
        expect(thrownBy(() => requireOwn(folder, '--certificate')).message).to.contain(mode.toString(8))
      }

      expect(await readdir(folder)).to.deep.equal([])
      await chmod(folder, 0o755)
      await createInOwn(folder, files)
    }))

  it('one of another user is refused, and nothing is given to that user', () =>
    inFolder(async folder => {
      const user = process.geteuid?.() ?? expect.fail('this system has no users')
      const link = path.join(folder, 'link')
      // Only root can give a directory away; for every other user the root directory is another user's.
      const [others, owner] = user === 0 ? [path.join(folder, 'others'), NOBODY] : ['/', 0]
      if (user === 0) {
        await mkdir(others, {mode: 0o700})
        await chown(others, NOBODY, NOBODY)
      }

      const before = await readdir(others)
      await symlink(others, link)
      for (const directory of [others, link]) {
        const refused = await failure(createInOwn(directory, files))
        expect([refused.code, refused.message, refused.hint].join(' '))
          .to.match(/^invalid --request: .* belongs to another user .*, who could replace .*chown \d/)
          .and.to.contain(`chown ${user}`)
        expect(thrownBy(() => requireOwn(directory, '--certificate')).message).to.contain(`uid ${owner}`)
      }

      expect(await readdir(others)).to.deep.equal(before)
    }))

  it('a file or link that is there stays as it is, and what was written before it is removed', () =>
    inFolder(async folder => {
      const target = path.join(folder, 'target')
      await symlink(target, path.join(folder, 'request.csr'))
      expect((await failure(createInOwn(folder, files))).code).to.equal('conflict')
      expect(await readdir(folder)).to.deep.equal(['request.csr'])
      await writeFile(path.join(folder, 'key.pem'), 'earlier')
      expect((await failure(createInOwn(folder, files))).message).to.contain('key.pem of an earlier request')
      expect(await readFile(path.join(folder, 'key.pem'), 'utf8')).to.equal('earlier')
    }))

  it('the directory of the store is refused, and so is a folder below it, by any path, whether it exists or not', () =>
    inFolder(async folder => {
      const [store, beside] = [path.join(folder, 'store'), path.join(folder, 'store-requests')]
      await mkdir(path.join(store, 'present'), {recursive: true})
      await symlink(store, path.join(folder, 'link'))
      await symlink(path.join(store, 'present'), path.join(folder, 'inside'))
      const refusal = (directory: string, of = store): AtlasError => {
        const error = thrownBy(() => requireNotStore(directory, of))
        if (error instanceof AtlasError) return error
        throw new Error(`no AtlasError: ${String(error)}`)
      }

      expect(refusal(store).message).to.contain('is the directory of the store')
      for (const below of ['store/present', 'store/a/b', 'link/present', 'link/a', 'inside', 'inside/a', 'store-requests/../store/a']) {
        const {code, message, hint} = refusal(`${folder}/${below}`)
        expect([code, message, hint].join(' '), below)
          .to.contain(`invalid --request: "${folder}/${below}" is below "${store}", the directory of the store`)
          .and.to.contain('copies and backups would hold what is written there')
          .and.to.contain('name a directory outside of it')
      }

      expect(refusal(path.join(store, 'a'), path.join(folder, 'link')).code).to.equal('invalid')
      expect(refusal(path.join(folder, 'no-store', 'a'), path.join(folder, 'no-store')).code).to.equal('invalid')
      expect(refusal('/tmp', '/').code).to.equal('invalid')
      for (const outside of [folder, beside, path.join(store, '..', 'requests')]) requireNotStore(outside, store)
      requireNotStore(store, undefined)
    }))

  it('of several runs at once one alone writes all its files', () =>
    inFolder(async folder => {
      const runs = Array.from({length: 8}, (_, run) => files.map(file => ({...file, text: `run ${run}`})))
      const ended = await Promise.allSettled(runs.map(async run => createInOwn(folder, run)))
      const [first, ...more] = ended.flatMap(({status}, run) => (status === 'fulfilled' ? [`run ${run}`] : []))
      expect(more).to.deep.equal([])
      for (const file of files) expect(await readFile(path.join(folder, file.path), 'utf8')).to.equal(first)
    }))
})
