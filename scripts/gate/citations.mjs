/** What a comment or a page cites is in the repository: pages with their headings, promises by number, files by path, names by file. */
import {commentsAndTitles, lineAt, repositoryPaths, repositoryTexts} from './texts.mjs'

/** What only the authors have. A reader of the repository can't look it up. */
const outside = [/\bfacts\/\w+(\.md)?/g, /\b(the )?design,? part \d*/g, /\/work\/(main|shared)\b/g, /\.\.\/shared\/[\w./-]*/g]

/** Where such texts are written because they are refused. */
const exempt = new Set(['scripts/gate/citations.mjs', 'test/scripts/citations.test.ts'])

/**
 * @typedef {object} Repository
 * @property {string[]} paths of all files
 * @property {(path: string) => string | undefined} read a text file
 */

/**
 * @param {import('./texts.mjs').Text} file
 * @param {Repository} repository
 * @returns {string[]} one line for each citation that leads nowhere
 */
export function badCitations({path, text}, repository) {
  if (exempt.has(path)) return []
  const at = match => `${path}:${lineAt(text, match.index)}: ${match[0].trim()}`
  const headings = new Map()
  const anchorsIn = page => {
    if (!headings.has(page)) headings.set(page, anchorsOf(repository.read(page) ?? ''))
    return headings.get(page)
  }

  const pages = [...text.matchAll(/\bdocs\/[\w/-]+\.md(#[\w-]+)?/g)].flatMap(match => {
    const [page, anchor] = match[0].split('#')
    if (!repository.paths.includes(page)) return [`${at(match)}: there is no such page`]
    return anchor === undefined || anchorsIn(page).has(anchor) ? [] : [`${at(match)}: the page has no such heading`]
  })
  const promises = [...text.matchAll(/\bpromises? (\d+)\b/gi)].flatMap(match =>
    [...anchorsIn('docs/explanation/promises.md')].some(anchor => anchor.startsWith(`${match[1]}-`))
      ? []
      : [`${at(match)}: docs/explanation/promises.md has no such number`],
  )
  return [
    ...outside.flatMap(pattern => [...text.matchAll(pattern)].map(match => `${at(match)}: a reader of the repository does not have it`)),
    ...pages,
    ...promises,
    ...[...namedFiles(path, text)]
      .filter(match => !isThere(match[1], repository.paths))
      .map(match => `${at(match)}: there is no such file`),
    ...[...placedNames(path, text)]
      .filter(([, names, file]) => repository.paths.includes(file) && !areIn(names, repository.read(file) ?? ''))
      .map(match => `${at(match)}: the file has no such name`),
  ]
}

/** In a page, "`name` in `path`": names of the code with their file. */
function placedNames(path, text) {
  return path.endsWith('.md') ? text.matchAll(/((?:`\w+`(?:,| and)\s)*`\w+`)\sin\s`([\w./-]+\.(?:ts|mjs))`/g) : []
}

/** Whether each name between backticks occurs in the code. */
function areIn(names, code) {
  return [...names.matchAll(/`(\w+)`/g)].every(([, name]) => new RegExp(`\\b${name}\\b`).test(code))
}

/** Paths and source files of the repository between backticks in a page, and names of source files in a comment. The changelog speaks of the past. */
function namedFiles(path, text) {
  if (path === 'CHANGELOG.md') return []
  if (path.endsWith('.md')) return text.matchAll(/`((?:src|test|scripts|bench|bin|proto|charts|docs)\/[\w./-]+|[\w./-]+\.(?:ts|mjs))`/g)
  if (!path.endsWith('.ts')) return []
  return commentsAndTitles(text).matchAll(/(?<![\w./<>*-])((?:[\w-]+\/)*[\w-]+\.ts)\b/g)
}

/** A file or a folder of that path, or of a path that ends so: a comment names its neighbours in short. */
function isThere(name, paths) {
  const short = name.replace(/\/$/, '')
  return paths.some(path => path === short || path.endsWith(`/${short}`) || path.startsWith(`${short}/`))
}

/** As GitHub makes them of headings. */
function anchorsOf(page) {
  const titles = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title)
  return new Set(
    titles.map(title =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** The step of the gate. @throws {Error} with every citation that leads nowhere */
export async function checkCitations() {
  const texts = repositoryTexts()
  const pages = new Map(texts.map(({path, text}) => [path, text]))
  const repository = {paths: repositoryPaths(), read: path => pages.get(path)}
  const found = texts.flatMap(file => badCitations(file, repository))
  if (found.length > 0) throw new Error(found.join('\n'))
}
