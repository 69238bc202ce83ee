/** What was meant by a command or a flag that does not exist. */
import {nearest} from '../../model/nearest.js'

/** Letters that may differ between a word and the one that was meant: two that are swapped count as two. */
const TYPOS = 2

/** What other programs call these commands. */
const SYNONYMS: Readonly<Partial<Record<string, string>>> = {
  ls: 'list',
  rm: 'remove',
  delete: 'remove',
  create: 'add',
  get: 'show',
  describe: 'show',
}

/**
 * What to say of a command that oclif does not find. It takes words after a command without arguments for parts of its name, and has colons
 * where people type spaces.
 * @param id as oclif names it, such as `clutser:list`
 * @param commands every command as oclif names it
 */
export function unknownCommand(id: string, commands: readonly string[]): {readonly message: string; readonly hint?: string} {
  const words = id.split(':')
  const known = words.findLastIndex((_, index) => commands.includes(words.slice(0, index + 1).join(':'))) + 1
  if (known > 0) {
    const rest = words.slice(known)
    return {message: `Unexpected argument${rest.length === 1 ? '' : 's'}: ${rest.join(', ')}`}
  }

  // Other programs have these as commands; here they are flags.
  if (words[0] === 'version') return {message: `command ${words.join(' ')} not found`, hint: '"atlas --version" shows it'}
  if (words[0] === 'help') {
    const of = meantWords(words.slice(1), commands)
    return {message: `command ${words.join(' ')} not found`, hint: `"${['atlas', ...of, '--help'].join(' ')}" shows it`}
  }

  const meant = meantWords(words, commands).join(' ')
  const topic = `${words.join(' ')} `.startsWith(`${meant} `) ? meant : undefined
  return {
    message: `command ${words.join(' ')} not found`,
    hint:
      meant === '' || topic !== undefined
        ? `"${['atlas', ...(topic === undefined ? [] : [topic]), '--help'].join(' ')}" lists the commands`
        : `did you mean "atlas ${meant}"? "atlas --help" lists the commands`,
  }
}

/** Word by word, since a word that is right says where the next one belongs: `cluster shwo paris` is `cluster show`. */
function meantWords(words: readonly string[], commands: readonly string[]): readonly string[] {
  const found: string[] = []
  for (const word of words) {
    const next = commands.map(id => id.split(':')).filter(names => found.every((name, index) => names[index] === name))
    const known = [...new Set(next.flatMap(names => names[found.length] ?? []))]
    const near = known.find(name => name === SYNONYMS[word]) ?? nearest(word, known, TYPOS)
    if (near === undefined) break
    found.push(near)
  }

  return found
}

/** What to say of flags that a command does not have; undefined for an error about something else. */
export function unknownFlags(error: object): {readonly message: string; readonly hint: string} | undefined {
  if (!isAboutFlags(error)) return undefined
  const known = Object.entries(error.parse.input.flags).flatMap(([name, {allowNo, hidden}]) =>
    hidden === true ? [] : [name, ...(allowNo === true ? [`no-${name}`] : [])],
  )
  // Without the values, which may be long.
  const typed = error.flags.map(flag => flag.replace(/=.*/s, ''))
  const meant = typed.flatMap(flag => nearest(flag.replace(/^-+/, ''), [...known, 'help'], TYPOS) ?? []).map(name => `--${name}`)
  return {
    message: `there is no flag ${typed.join(', ')}`,
    hint: `${meant.length === 0 ? '' : `did you mean ${meant.join(', ')}? `}add --help to see arguments, flags and examples`,
  }
}

/** oclif's NonExistentFlagsError, whose class is not among what it exports. */
interface AboutFlags {
  readonly flags: readonly string[]
  readonly parse: {readonly input: {readonly flags: Readonly<Record<string, {readonly allowNo?: boolean; readonly hidden?: boolean}>>}}
}

function isAboutFlags(error: object): error is AboutFlags {
  return error.constructor.name === 'NonExistentFlagsError'
}
