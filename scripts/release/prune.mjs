/** Removes files of an installed program that Node never loads: types, source maps, tests, documents. Checks that no other file loads them. */
import {lstatSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {basename, dirname, extname, join, relative} from 'node:path'

/** A list of what is kept, so that a new kind of file is left out until it is added here. */
const kept = new Set(['.js', '.cjs', '.mjs', '.json', '.proto'])
/** Licences require that they are shipped with their packages. */
const legal = /^(licen[cs]e|notice|copying)\b/i
const workshop = /^(tests?|specs?|__tests__|fixtures?|examples?|docs?|benchmarks?|bench|coverage|\..*)$/
/** npm's own notes about the installation. */
const notes = new Set(['package-lock.json', '.package-lock.json'])

/**
 * Removes from `directory` every file that is not run, then empty directories.
 * @param {string} directory
 * @throws {Error} when a kept file loads a removed one; it names both
 */
export function prune(directory) {
  const before = new Set(filesBelow(directory))
  const after = [...before].filter(isKept)
  const broken = brokenReferences(directory, before, new Set(after))
  if (broken.length > 0) throw new Error(['these files load files that would be removed:', ...broken].join('\n  '))
  const staying = new Set(after)
  for (const file of before) if (!staying.has(file)) rmSync(join(directory, file))
  removeEmpty(directory)
}

/**
 * All files and links.
 * @param {string} directory
 * @returns {string[]} relative paths, sorted
 */
export function filesBelow(directory) {
  return readdirSync(directory, {recursive: true})
    .filter(path => !lstatSync(join(directory, path)).isDirectory())
    .sort()
}

function isKept(path) {
  if (foldersOf(path).some(folder => workshop.test(folder))) return false
  const name = basename(path)
  if (notes.has(name)) return false
  if (legal.test(name)) return true
  return kept.has(extname(name)) && !/\.(test|spec)\.\w+$/.test(name)
}

/** The folders of the path, without names of packages: a package may be called `docs`. */
function foldersOf(path) {
  const folders = path.split('/').slice(0, -1)
  const isName = index =>
    folders[index - 1] === 'node_modules' || (folders[index - 2] === 'node_modules' && folders[index - 1].startsWith('@'))
  return folders.filter((_, index) => !isName(index))
}

/** Searches sources for relative paths that are required or imported as literals, as packages do. */
function brokenReferences(directory, before, after) {
  return [...after]
    .filter(file => /\.[cm]?js$/.test(file))
    .flatMap(file =>
      relativeImports(readFileSync(join(directory, file), 'utf8')).flatMap(specifier => {
        const target = resolve(join(dirname(file), specifier), before)
        return target === undefined || after.has(target) ? [] : [`${file}: ${specifier} (${target})`]
      }),
    )
}

function relativeImports(source) {
  return [...source.matchAll(/(?:\bfrom|\bimport|\brequire(?:\.resolve)?)\s*\(?\s*(['"])(\.{1,2}(?:\/[^'"\n]*)?)\1/g)].map(
    match => match[2],
  )
}

/** As Node's CommonJS resolution would, among `files`; what only a type checker would find is not needed. */
function resolve(path, files) {
  const plain = relative('.', path)
  const candidates = [plain, ...['js', 'json', 'node', 'cjs', 'mjs'].map(ending => `${plain}.${ending}`), join(plain, 'index.js')]
  return candidates.find(candidate => files.has(candidate) && !/\.(d\.)?[cm]?ts$/.test(candidate))
}

function removeEmpty(directory) {
  for (const entry of readdirSync(directory, {withFileTypes: true})) if (entry.isDirectory()) removeEmpty(join(directory, entry.name))
  if (readdirSync(directory).length === 0) rmSync(directory, {recursive: true})
}
