/** Spellings of a path, as they are tried at a proxy that denies the path. */

/** Spellings that mean the same to some server, with what Envoys answer that deny the path. The path has two parts at least. */
export const spellings: readonly (readonly [string, (path: string) => string, readonly number[]])[] = [
  ['as it is', path => path, [403]],
  ['with a slash at the end', path => `${path}/`, [403]],
  ['with a query', path => `${path}?x=1`, [403]],
  ['with a fragment', path => `${path}#f`, [400, 403]],
  ['with a slash more in front', path => `/${path}`, [403]],
  ['with doubled slashes', path => path.replaceAll('/', '//'), [403]],
  ['with a dot segment', path => path.replaceAll('/', '/./'), [403]],
  ['with a way back', path => `/x/..${path}`, [403]],
  ['with an escaped way back', path => `/x/%2e%2e${path}`, [403]],
  ['with a way back in capitals', path => `/x/%2E.${path}`, [403]],
  ['with its first letter escaped', path => path.replace(/[a-z]/, escaped), [403]],
  ['with its last letter escaped', path => path.replace(/[a-z](?=[^a-z]*$)/, escaped), [403]],
  ['with "-" escaped', path => path.replace('-', '%2d'), [403]],
  ['with backslashes', path => path.replaceAll(/(?<=.)\//g, '\\'), [403]],
  ['with an escaped slash', path => path.replace(/(?<=.)\//, '%2F'), [400]],
  ['with an escaped slash and a way back', path => `/x%2f..%2f${path.slice(1)}`, [400]],
  ['with an escaped backslash', path => path.replace(/(?<=.)\//, '%5c'), [400]],
  ['with an escaped zero', path => `${path}%00`, [400]],
  ['out of the page and back', path => `/../paris${path}`, [403, 404]],
]

/** Spellings that no server takes for the path: Envoys pass them on, and the program has nothing there. */
export const others: readonly ((path: string) => string)[] = [
  path => `${path};a=b`,
  path => path.replace(/[a-z](?=[^a-z]*$)/, letter => escaped(letter).replace('%', '%25')),
  path => `${path}%20`,
]

function escaped(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`
}
