/** Parts of the commands that Atlas prints for a person to copy into a POSIX shell. */

/** Characters that no POSIX shell treats specially, wherever they are in a word. */
const PLAIN = /^[\w@%+=:,./-]+$/

/** One word of a command: in single quotes where a shell would split or change it. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/**
 * Starts an Envoy with the hard limit of open files. `ulimit -n NUMBER` fails above the hard limit, and dash then ends the whole command
 * line; this form never does.
 * @param bootstrap the file's path
 * @param flags further flags, each with a blank before it; or empty
 */
export function envoyCommand(bootstrap: string, flags: string): string {
  return `ulimit -n "$(ulimit -Hn)"; envoy -c ${shellWord(bootstrap)}${flags}`
}
