/** The files of an installed program that are kept for the image; a missing one is found. */
import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {expect} from 'chai'
import {withoutDevelopment} from '../../scripts/release/context.mjs'
import {filesBelow, prune} from '../../scripts/release/prune.mjs'

function pruned(files: Record<string, string>): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-prune-'))
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), {recursive: true})
      writeFileSync(join(folder, name), content)
    }
    symlinkSync('run.js', join(folder, 'link'))
    prune(folder)
    return filesBelow(folder)
  } finally {
    rmSync(folder, {recursive: true})
  }
}

describe('prune', () => {
  it('keeps files that are run, and licences', () => {
    const kept = ['bin/run.js', 'package.json', 'LICENSE', 'node_modules/a/lib/x.cjs', 'node_modules/a/x.mjs', 'node_modules/a/x.proto']
    const alsoKept = ['node_modules/a/license.md', 'node_modules/a/NOTICE', 'node_modules/a/package.json']
    expect(pruned(Object.fromEntries([...kept, ...alsoKept].map(name => [name, ''])))).to.have.members([...kept, ...alsoKept])
  })

  it('removes types, maps, documents, tests, hidden folders, links, and kinds of file that are not on the list', () => {
    const left = [
      'x.d.ts',
      'x.js.map',
      'README.md',
      'test/x.js',
      'lib/tests/x.js',
      'x.test.js',
      '.github/x.json',
      'docs/x.js',
      'x.pem',
      'x.exe',
    ]
    expect(pruned({'a.js': '', ...Object.fromEntries(left.map(name => [`node_modules/a/${name}`, '']))})).to.deep.equal(['a.js'])
  })

  it('keeps a package whose name is that of a removed folder', () => {
    const kept = ['node_modules/docs/a.js', 'node_modules/@tests/example/a.js', 'node_modules/a/node_modules/test/a.js']
    expect(pruned({...Object.fromEntries(kept.map(name => [name, ''])), 'node_modules/a/test/node_modules/b/a.js': ''})).to.have.members(
      kept,
    )
  })

  it('fails when a kept file loads a removed one, by any kind of import', () => {
    for (const line of [
      `require('./test/b')`,
      `import b from './test/b.js'`,
      `export {b} from "./test/b.js"`,
      `await import('./test/b.js')`,
    ]) {
      expect(() => pruned({'lib/a.js': line, 'lib/test/b.js': ''}), line).to.throw('lib/a.js: ./test/b')
    }
    expect(() => pruned({'a.js': `require('./docs')`, 'docs/index.js': ''})).to.throw('docs/index.js')
    expect(pruned({'a.js': `import('./types.d.ts'); require('./absent'); require('test')`, 'types.d.ts': ''})).to.deep.equal(['a.js'])
  })
})

describe('withoutDevelopment', () => {
  it('is the lock of the shipped packages', () => {
    const packages = {
      '': {name: 'x', dependencies: {a: '1'}, devDependencies: {b: '1'}},
      'node_modules/a': {version: '1'},
      'node_modules/b': {version: '1', dev: true},
    }
    expect(withoutDevelopment({packages}).packages).to.deep.equal({
      '': {name: 'x', dependencies: {a: '1'}},
      'node_modules/a': {version: '1'},
    })
  })
})
