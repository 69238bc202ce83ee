/** The words that this project does not use where people read, and what it uses instead (CONTRIBUTING.md, "Words"). */
import {commentsAndTitles, lineAt, repositoryTexts} from './texts.mjs'

/**
 * Only what is unambiguous: a word that has an honest use is left to the reviewer. A new word is one more line here, added in the commit
 * that removes its last use.
 * @type {{word: RegExp, instead: string}[]}
 */
const refused = [
  {word: /\banew\b/i, instead: 'again, or "issue a new …", or replace'},
  {word: /\bnobody\b/i, instead: 'name the thing: no client, no Envoy, no process'},
  {word: /\b(some|any)body\b/i, instead: 'name the thing: another process, a client, an operator'},
  {word: /\beverybody\b/i, instead: 'name the things: all clients, all owners, every other process'},
  {word: /\bwho(m?ever|m)\b/i, instead: 'name the thing: the caller, the client, the server that …'},
  {word: /\bmend(s|ed|ing)?\b/i, instead: 'fix, repair, recover'},
  {word: /\bhand(s|ed|ing)? (it |them )?out\b/i, instead: 'give, apply, send, issue'},
  {word: /\bknock(s|ed|ing)?\b/i, instead: 'connect to, probe'},
  {word: /\bdial(s|led|ler|lers|ling)\b/i, instead: 'connect to; the one that connects'},
  {word: /\bby (itself|themselves)\b/i, instead: 'automatically, or leave it out'},
  {word: /\ba word of\b/i, instead: 'a warning, a message'},
  {word: /\bwhereby\b/i, instead: 'a sentence of its own'},
]

/** Where the words are named because they are refused. */
const exempt = new Set(['scripts/gate/words.mjs', 'test/scripts/words.test.ts'])

/**
 * @param {import('./texts.mjs').Text} file of a test only comments and titles are looked at
 * @returns {string[]} one line for each refused word
 */
export function refusedWords({path, text}) {
  if (exempt.has(path)) return []
  const prose = path.startsWith('test/') && path.endsWith('.ts') ? commentsAndTitles(text) : text
  return refused.flatMap(({word, instead}) =>
    [...prose.matchAll(new RegExp(word, 'gi'))].map(
      match => `${path}:${lineAt(prose, match.index)}: "${match[0]}" is not a word of this project; write: ${instead}`,
    ),
  )
}

/** The step of the gate. @throws {Error} with every refused word */
export async function checkWords() {
  const found = repositoryTexts().flatMap(file => refusedWords(file))
  if (found.length > 0) throw new Error(found.join('\n'))
}
