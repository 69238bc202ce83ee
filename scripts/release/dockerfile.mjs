/** Parses this repository's Dockerfile: instructions, continued lines, JSON forms. Knows no heredocs, escapes or build stages. */

/**
 * @param {string} text
 * @returns {Array<{instruction: string, words: string[]}>} instructions in capitals; flags (`--chown=…`) are among the words
 */
export function parseDockerfile(text) {
  return text
    .split('\n')
    .filter(line => !/^\s*#/.test(line))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(line => {
      const [, instruction, rest] = /^(\w+)\s+(.*)$/s.exec(line) ?? [undefined, line, '']
      return {instruction: instruction.toUpperCase(), words: wordsOf(rest.trim())}
    })
}

/**
 * The settings of the image.
 * @param {string} text of the Dockerfile
 * @returns {{sources: string[], entrypoint: string[], environment: Record<string, string>, user: string}} `sources`: what COPY takes from the context
 */
export function readImage(text) {
  const instructions = parseDockerfile(text)
  const all = name => instructions.filter(({instruction}) => instruction === name).map(({words}) => words)
  return {
    sources: all('COPY').flatMap(words => words.filter(word => !word.startsWith('--')).slice(0, -1)),
    entrypoint: all('ENTRYPOINT').at(-1) ?? [],
    environment: Object.fromEntries(all('ENV').flatMap(words => words.map(word => [...word.split(/=(.*)/s)].slice(0, 2)))),
    user: all('USER').at(-1)?.[0] ?? '',
  }
}

function wordsOf(rest) {
  if (rest.startsWith('[')) return JSON.parse(rest)
  return (rest.match(/(?:"[^"]*"|[^\s"])+/g) ?? []).map(word => word.replaceAll('"', ''))
}
