import {execFile} from 'node:child_process'
import {renameSync} from 'node:fs'
import {chmod, mkdir, rename, stat, symlink, truncate, unlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {promisify} from 'node:util'
import {expect} from 'chai'
import type {Change} from '../../../src/lib/model/change.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {plain} from '../../helpers/fleet-changes.js'
import {testCluster} from '../../helpers/fleet.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {until} from '../recorder.js'
import {fleet, folderOf} from './folder.js'

const run = promisify(execFile)
const paris = parseClusterName('paris')
const moved: Change = {kind: 'registration', name: paris, value: testCluster('paris', {replicas: 2})}
const modeOf = async (file: string): Promise<string> => ((await stat(file)).mode & 0o777).toString(8)
const faultsOf = (found: Fleet): readonly string[] => [...found.faults.keys()].sort()

/** Puts something else in a file's place, so fast that no process can read in between. */
const instead = async (file: string, make: (other: string) => Promise<unknown>): Promise<void> => {
  const hidden = path.join(path.dirname(file), '.other')
  await make(hidden)
  renameSync(file, path.join(path.dirname(file), '.gone'))
  renameSync(hidden, file)
}

describe('store/directory: files', () => {
  const folder = folderOf()
  const load = async (): Promise<Fleet> => folder.open().load()

  it('are called by kind and name, in lower case', async () => {
    const names = await folder.names()
    expect(names).to.include.members([
      'service-paris.yaml',
      'secret-paris-envoy-ads.yaml',
      'configmap-atlas-fleet.yaml',
      'secret-atlas-ca.yaml',
    ])
    expect(names.filter(name => name.startsWith('.'))).to.deep.equal(['.gitignore'])
  })

  it('with keys are for their owner alone, in a directory that is', async () => {
    expect(await modeOf(folder.directory)).to.equal('700')
    const secrets = (await folder.names()).filter(name => name.startsWith('secret-'))
    expect(await Promise.all(secrets.map(async name => modeOf(folder.file(name))))).to.deep.equal(secrets.map(() => '600'))
  })

  it('with keys are closed again, whatever they are called and whether or not they can be read', async () => {
    await rename(folder.file('secret-paris-envoy-ads.yaml'), folder.file('keys-of-paris.yaml'))
    await folder.write('half-saved.yaml', `kind: Secret\nstringData:\n  tls.key: |\n-----BEGIN PRIVATE KEY-----\n`)
    for (const name of ['keys-of-paris.yaml', 'half-saved.yaml', 'secret-atlas-ca.yaml', 'service-paris.yaml'])
      await chmod(folder.file(name), 0o644)
    const watch = await folder.watching()
    for (const name of ['keys-of-paris.yaml', 'half-saved.yaml', 'secret-atlas-ca.yaml'])
      expect(await modeOf(folder.file(name)), name).to.equal('600')
    expect(await modeOf(folder.file('service-paris.yaml'))).to.equal('644')
    await chmod(folder.file('secret-atlas-ca.yaml'), 0o640)
    await until(async () => (await modeOf(folder.file('secret-atlas-ca.yaml'))) === '600')
    expect(watch.changes).to.deep.equal([])
  })

  it('with keys that others could read are named once, with what replaces the keys', async () => {
    const expose = async (...names: string[]): Promise<void> => {
      for (const name of names) await chmod(folder.file(name), 0o644)
    }
    const replacedBy = async (...names: string[]): Promise<string> => {
      await expose(...names)
      const store = folder.open()
      await store.load()
      const [warning = '', ...others] = store.warnings()
      for (const name of names.slice(0, 3)) expect(warning).to.contain(`${name} (0644)`)
      expect(warning).to.contain(`in ${folder.directory} had a mode for other users`).and.to.contain('the mode is 0600 again')
      await store.load()
      expect([others, store.warnings()]).to.deep.equal([[], [warning]])
      return /"([^"]+)" \(docs/.exec(warning)?.[1] ?? warning
    }

    const ofShard = (await folder.names()).find(name => name.startsWith('secret-atlas-identities-')) ?? ''
    expect(await replacedBy(ofShard)).to.equal('atlas rotate --issuer')
    expect(await replacedBy('secret-atlas-ads-tls.yaml', 'secret-atlas-issuer.yaml')).to.equal('atlas rotate --root')
    expect(await replacedBy('secret-paris-envoy-ads.yaml')).to.equal('atlas cluster revoke paris --reissue')
    expect(await replacedBy('secret-lyon-envoy-ads.yaml', 'secret-paris-envoy-ads.yaml')).to.equal('atlas rotate --root')
    for (const name of ['secret-atlas-ca.yaml', 'secret-atlas-credential-issuer.yaml', 'secret-atlas-envoy-ads.yaml'])
      expect(await replacedBy(name), name).to.equal('atlas rotate --root')
    const secrets = (await folder.names()).filter(name => name.startsWith('secret-'))
    expect(await replacedBy(...secrets)).to.equal('atlas rotate --root')
    await expose('service-paris.yaml', 'configmap-atlas-fleet.yaml')
    const store = folder.open()
    await store.load()
    expect(store.warnings()).to.deep.equal([])
    // A server logs it, at its start and later.
    await expose('secret-atlas-ca.yaml')
    const watch = await folder.watching()
    expect(watch.warnings).to.have.length(1)
    await expose('secret-atlas-issuer.yaml')
    await until(() => watch.warnings.length === 2)
    expect(watch.warnings[1]).to.contain('secret-atlas-issuer.yaml (0644);')
    expect(watch.changes).to.deep.equal([])
  })

  it('are read, written and removed under whatever name they have', async () => {
    await rename(folder.file('service-paris.yaml'), folder.file('Paris (old).yaml'))
    await rename(folder.file('configmap-atlas-fleet.yaml'), folder.file('settings.yaml'))
    const base = await folder.store.load()
    expect(plain(base)).to.deep.equal(plain(fleet))
    const after = await folder.store.commit(base, [moved])
    expect(await folder.read('Paris (old).yaml')).to.match(/replicas: ["']2["']/)
    expect(await folder.names()).not.to.include('service-paris.yaml')
    await folder.store.commit(after, [{...moved, value: undefined}])
    expect(await folder.names()).not.to.include('Paris (old).yaml')
    expect((await load()).registrations.has(paris)).to.equal(false)
  })

  it('of another object are not written over, though they have the name', async () => {
    await unlink(folder.file('service-paris.yaml'))
    await rename(folder.file('service-lyon.yaml'), folder.file('service-paris.yaml'))
    const base = await folder.store.load()
    await folder.store.commit(base, [moved])
    const after = await load()
    expect([...after.registrations.keys()].sort()).to.deep.equal(['lyon', 'paris'])
    expect(await folder.read('service-paris.yaml')).to.contain('name: lyon')
  })

  it('that hold the same object are refused, both by name, until one is gone', async () => {
    const watch = await folder.watching()
    await folder.write('paris-copy.yaml', await folder.read('service-paris.yaml'))
    // A file is empty between its creation and its writing, and may be read then.
    await until(() => faultsOf(watch.fleet).join() === 'registration/paris')
    for (const found of [watch.fleet, await load()]) {
      const fault = found.faults.get('registration/paris')
      expect(faultsOf(found)).to.deep.equal(['registration/paris'])
      expect(fault?.message).to.contain('paris-copy.yaml').and.to.contain('service-paris.yaml')
    }

    for (const value of [moved.value, undefined]) {
      const error = await rejectedBy(folder.store.commit(await folder.store.load(), [{kind: 'registration', name: paris, value}]))
      expect(error.message).to.contain('paris-copy.yaml and service-paris.yaml')
    }

    await unlink(folder.file('paris-copy.yaml'))
    await until(() => watch.fleet.faults.size === 0)
    expect(plain(watch.fleet)).to.deep.equal(plain(fleet))
  })

  it('that were saved elsewhere and left broken give way to the one that can be read', async () => {
    const text = await folder.read('service-paris.yaml')
    const watch = await folder.watching()
    await folder.write('service-paris.yaml', 'kind: [')
    await folder.write('new.yaml', text)
    await until(() => faultsOf(watch.fleet).join() === 'object/File/service-paris.yaml')
    for (const found of [watch.fleet, await load()]) {
      expect(faultsOf(found)).to.deep.equal(['object/File/service-paris.yaml'])
      expect(found.registrations.has(paris)).to.equal(true)
    }
  })

  const broken: readonly (readonly [what: string, make: (file: string) => Promise<unknown>, says: RegExp])[] = [
    ['empty', file => writeFile(file, ''), /empty/],
    ['of comments alone', file => writeFile(file, '# nothing\n---\n'), /empty/],
    ['of two documents', file => writeFile(file, 'a: 1\n---\nb: 2\n'), /one object per file; got 2/],
    ['a list', file => writeFile(file, '- a\n'), /Kubernetes object/],
    [
      'binary',
      file =>
        writeFile(
          file,
          Uint8Array.from({length: 4096}, (_, index) => index % 256),
        ),
      /UTF-8/,
    ],
    ['of zeros', file => writeFile(file, Buffer.alloc(100)), /YAML/],
    ['huge', file => truncate(file, 5 * 2 ** 20), /at most 4 MiB/],
    [
      'an alias of itself',
      file => writeFile(file, 'apiVersion: v1\nkind: Service\nmetadata: {name: paris}\nspec: &a {b: *a}\n'),
      /aliases/,
    ],
    ['nested without end', file => writeFile(file, `spec: ${'['.repeat(100_000)}`), /YAML/],
    ['of another version', file => writeFile(file, 'apiVersion: v2\nkind: Service\nmetadata: {name: paris}\n'), /apiVersion/],
    ['in conflict', file => writeFile(file, '<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n'), /YAML/],
    ['a symbolic link', file => instead(file, other => symlink('service-lyon.yaml', other)), /symbolic link/],
    ['a link to nothing', file => instead(file, other => symlink('/nowhere/at/all', other)), /symbolic link/],
    ['a directory', file => instead(file, other => mkdir(other)), /something else/],
    ['a pipe', file => instead(file, other => run('mkfifo', [other])), /something else/],
  ]
  for (const [what, make, says] of broken) {
    it(`${what}: a fault of that object alone, seen and repaired`, async () => {
      const text = await folder.read('service-paris.yaml')
      const watch = await folder.watching()
      await make(folder.file('service-paris.yaml'))
      await until(() => says.test(watch.fleet.faults.get('registration/paris')?.message ?? ''))
      for (const found of [watch.fleet, await load()]) {
        expect(faultsOf(found)).to.deep.equal(['registration/paris'])
        expect(found.faults.get('registration/paris')).to.include({source: 'service-paris.yaml', object: 'Service/paris'})
        expect(found.faults.get('registration/paris')?.message).to.match(says)
      }

      await folder.write('.new', text)
      renameSync(folder.file('service-paris.yaml'), folder.file('.old'))
      renameSync(folder.file('.new'), folder.file('service-paris.yaml'))
      await until(() => watch.fleet.faults.size === 0)
      expect(plain(watch.fleet)).to.deep.equal(plain(fleet))
      expect(watch.changes.every(change => change.value !== undefined || change.kind === 'fault')).to.equal(true)
    })
  }

  it('that are links are not followed when modes are put right', async () => {
    const target = path.join(folder.directory, '..', 'precious')
    await writeFile(target, 'x', {mode: 0o644})
    await symlink(target, folder.file('secret-nice-envoy-ads.yaml'))
    await mkdir(folder.file('secret-x.yaml'), {mode: 0o755})
    await load()
    expect([await modeOf(target), await modeOf(folder.file('secret-x.yaml'))]).to.deep.equal(['644', '755'])
  })

  it('of no known object: all that they may have been is unknown, not missing, also at a cold start', async () => {
    for (const name of ['service-paris.yaml', 'secret-atlas-ca.yaml', 'configmap-atlas-trust-bundle.yaml', 'secret-lyon-envoy-ads.yaml'])
      await rename(folder.file(name), folder.file(`my ${name}`))
    for (const name of ['service-paris.yaml', 'secret-atlas-ca.yaml', 'configmap-atlas-trust-bundle.yaml', 'secret-lyon-envoy-ads.yaml'])
      await folder.write(`my ${name}`, 'kind: [')
    const found = await load()
    expect(faultsOf(found)).to.include.members(['authority/root', 'credential/lyon', 'registration/paris', 'trust'])
    expect(planReconcile(found, testDependencies())).to.deep.equal([])
    expect(found.faults.get('registration/paris')?.message).to.contain('YAML')
  })

  it('of no known object beside a whole fleet cost nothing but their own fault', async () => {
    await folder.write('notes.yaml', 'remember: [')
    const found = await load()
    expect(faultsOf(found)).to.deep.equal(['object/File/notes.yaml'])
    expect(plain({...found, faults: new Map()})).to.deep.equal(plain(fleet))
  })

  it('with odd names can’t forge a line of a message', async () => {
    await folder.write('a\nFATAL all is lost.yaml', 'kind: [')
    const found = await load()
    expect(faultsOf(found)).to.have.length(1)
    expect(faultsOf(found)[0]).not.to.contain('\n')
    expect([...found.faults.values()][0]?.source).not.to.contain('\n')
  })

  it('that are hidden, or of another kind, are passed over', async () => {
    for (const name of ['.service-nice.yaml', '.service-paris.yaml.swp', 'service-nice.yaml~', '4913', 'README.md', 'service-nice.yml'])
      await folder.write(name, 'kind: [')
    expect(plain(await load())).to.deep.equal(plain(fleet))
  })

  it('are seen even when written twice within one tick of the clock, to the same length', async () => {
    const text = await folder.read('service-paris.yaml')
    const store = folder.open()
    for (let round = 10; round < 40; round += 1) {
      await folder.write('service-paris.yaml', text.replace('198.51.100.4', `198.51.100.${round}`))
      expect((await store.load()).registrations.get(paris)?.addresses[0]?.host).to.equal(`198.51.100.${round}`)
    }
  })
})

describe('store/directory: writing', () => {
  const folder = folderOf()

  it('where a directory has the file’s name is an error that names it, and leaves nothing behind', async () => {
    await unlink(folder.file('service-paris.yaml'))
    await mkdir(folder.file('service-paris.yaml'))
    const error = await rejectedBy(folder.store.commit(await folder.store.load(), [moved]))
    expect(error.message).to.contain('service-paris.yaml').and.to.contain('directory')
    expect((await folder.names()).filter(name => name.startsWith('.'))).to.deep.equal(['.gitignore'])
  })

  it('clears away what killed writers left: drafts of files, old drafts of locks', async () => {
    await folder.write('.service-paris.yaml.0123456789ab', 'half')
    await folder.write('.lock-0123456789abcdef', '{}')
    await folder.write('.service-paris.yaml.swp', 'an editor’s')
    await run('touch', ['-d', '10 minutes ago', folder.file('.lock-0123456789abcdef')])
    await folder.write('.lock-fedcba9876543210', '{}')
    await folder.store.commit(await folder.store.load(), [moved])
    expect((await folder.names()).filter(name => name.startsWith('.'))).to.deep.equal([
      '.gitignore',
      '.lock-fedcba9876543210',
      '.service-paris.yaml.swp',
    ])
  })

  it('to a directory that is gone is refused, and makes none', async () => {
    const base = await folder.store.load()
    await rename(folder.directory, `${folder.directory}-away`)
    const error = await rejectedBy(folder.store.commit(base, [moved]))
    expect(error.code).to.be.oneOf(['conflict', 'unreachable'])
  })
})

describe('store/directory: git', () => {
  const folder = folderOf()
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {cwd: folder.directory})).stdout

  it('takes the registrations and the config maps, but never a record, nor a Secret under whatever name', async () => {
    await git('init', '-q')
    await rename(folder.file('secret-paris-envoy-ads.yaml'), folder.file('paris-keys.yaml'))
    await folder.write('.service-paris.yaml.0123456789ab', 'half')
    await folder.write('.commit.lock', '{}')
    await git('add', '.')
    const taken = (await git('ls-files')).trim().split('\n')
    const wanted = (await folder.names()).filter(name => /^(service|configmap)-(?!atlas-records-)|^\.gitignore$/.test(name))
    expect(taken.sort()).to.deep.equal([...wanted].sort())
    const secrets = (await folder.names()).filter(name => name.startsWith('secret-') || name === 'paris-keys.yaml')
    expect(secrets.length).to.be.greaterThan(5)
    expect((await git('check-ignore', ...secrets)).trim().split('\n').sort()).to.deep.equal([...secrets].sort())
  })

  it('a Secret under a name that git would take is refused, by the name that it should have', async () => {
    await rename(folder.file('secret-paris-envoy-ads.yaml'), folder.file('service-keys.yaml'))
    const found = await folder.open().load()
    const faults = [...found.faults.values()]
    expect(faults.map(({source}) => source)).to.include('service-keys.yaml')
    expect(faults.map(({message}) => message).join()).to.contain('secret-paris-envoy-ads.yaml')
  })

  it('a list of ignored files that was there before is kept, and added to once', async () => {
    await folder.write('.gitignore', 'mine')
    for (const replicas of [2, 3])
      await folder.store.commit(await folder.store.load(), [{kind: 'registration', name: paris, value: testCluster('paris', {replicas})}])
    const text = await folder.read('.gitignore')
    expect(text.startsWith('mine\n')).to.equal(true)
    expect(text.split('secret-*.yaml')).to.have.length(2)
  })

  for (const present of ['mine\n', undefined])
    it(`in a git repository ${present === undefined ? 'without' : 'with'} a .gitignore the rules name Atlas's own files, and are reported`, async () => {
      await unlink(folder.file('.gitignore'))
      await folder.write('main.go', '')
      if (present !== undefined) await folder.write('.gitignore', present)
      await folder.store.commit(await folder.store.load(), [moved])
      expect((await folder.read('.gitignore')).startsWith(present ?? '# written by atlas')).to.equal(true)
      expect(folder.store.otherFiles().join()).to.match(/^\.gitignore: rules/)
      const git = async (...args: string[]): Promise<string> => (await run('git', args, {cwd: folder.directory})).stdout
      await git('init', '--quiet')
      await folder.write('new.go', '')
      await git('add', '--all')
      const taken = (await git('ls-files')).split('\n')
      expect(taken).to.include.members(['main.go', 'new.go', 'service-paris.yaml'])
      expect(taken.filter(name => /^secret|records/.test(name))).to.deep.equal([])
    })
})
