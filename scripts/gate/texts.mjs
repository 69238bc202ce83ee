/** The files of the repository that people read, and of a test the part that is prose. What is looked for in them is in words.mjs and citations.mjs. */
import {readFileSync, readdirSync} from 'node:fs'
import {join} from 'node:path'
import {root} from '../setup/checkout.mjs'

/**
 * @typedef {object} Text
 * @property {string} path from the root of the repository, with slashes
 * @property {string} text
 */

const endings = /\.(ts|mjs|cjs|js|md|yaml|yml|tpl|txt|json|proto)$/
const named = new Set(['Dockerfile', '.ci/run'])
/** Expected output, the 2021 program's files, what is generated from other files, and what is installed or built. */
const passedOver =
  /^(\.git|node_modules|dist|coverage|src\/gen|test\/golden|test\/fixtures)\/|(^|\/)(package-lock|oclif\.manifest)\.json$|^docs\/reference\/commands\.md$/

/** @returns {Text[]} in order of path */
export function repositoryTexts() {
  return repositoryPaths()
    .filter(path => (endings.test(path) || named.has(path)) && !passedOver.test(path))
    .map(path => ({path, text: readFileSync(join(root, path), 'utf8')}))
}

/** @returns {string[]} every file's path, whatever it is, in order; without what is installed or built */
export function repositoryPaths() {
  const folders = ['']
  const files = []
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift())
    for (const entry of readdirSync(join(root, folder), {withFileTypes: true})) {
      const path = `${folder}${entry.name}`
      if (!entry.isDirectory()) files.push(path)
      else if (!/^(\.git|node_modules|dist|coverage)$/.test(path)) folders.push(`${path}/`)
    }
  return files.sort()
}

/** A comment; a test's title; or a string, in which neither is looked for. */
const pieces = [
  /\/\*[^]*?\*\//,
  /(?<=^|\s)\/\/.*/,
  /\b(?:describe|it)(?:\.\w+)?\(\s*(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[^])*`)/,
  /(?<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\[^])*`)/,
]
const piece = new RegExp(pieces.map(({source}) => source).join('|'), 'gm')

/**
 * The text with everything blanked that is neither a comment nor the title of a test, so that lines keep their numbers.
 * @param {string} text of a TypeScript file
 */
export function commentsAndTitles(text) {
  let prose = ''
  let end = 0
  for (const match of text.matchAll(piece)) {
    prose += blank(text.slice(end, match.index)) + (match.groups?.string === undefined ? match[0] : blank(match[0]))
    end = match.index + match[0].length
  }
  return prose + blank(text.slice(end))
}

function blank(code) {
  return code.replaceAll(/[^\n]/g, ' ')
}

/**
 * @param {string} text
 * @param {number} index
 * @returns {number} the line, the first is 1
 */
export function lineAt(text, index) {
  return text.slice(0, index).split('\n').length
}
