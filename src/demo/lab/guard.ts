/** A small shell process that stops the demo's programs when the demo is killed. The normal way to stop them is processes.ts. */
import {spawn} from 'node:child_process'

export interface Guard {
  readonly pid: number | undefined
  /** Stop this process group when the demo dies. */
  watch(group: number): void
  /** The process group has ended. */
  forget(group: number): void
  /** Ends the guard; it stops nothing. */
  dismiss(): void
}

/**
 * Starts the guard. It reads from a pipe that only the demo has open: the kernel closes it when the demo ends, also by kill -9.
 * @param folder removed once the processes are gone; undefined: no folder is removed
 */
export function startGuard(folder: string | undefined): Guard {
  // A session of its own: Ctrl-C in the terminal must not reach it.
  const child = spawn('/bin/sh', ['-c', script], {cwd: '/', detached: true, stdio: ['pipe', 'ignore', 'ignore']})
  const {stdin} = child
  // Without a guard the demo still stops its programs, unless it is killed.
  child.on('error', () => undefined)
  stdin.on('error', () => undefined)
  child.unref()
  const send = (line: string): void => {
    if (stdin.writable) stdin.write(`${line}\n`)
  }
  if (folder !== undefined) send(`=${folder}`)
  return {
    pid: child.pid,
    watch: group => {
      send(`+${group}`)
    },
    forget: group => {
      send(`-${group}`)
    },
    dismiss: () => {
      send('.')
      stdin.end()
    },
  }
}

/** Lines: `+N` and `-N` groups, `=DIR` the folder, `.` dismissed. At the end of input the demo is dead: 5 s for each group, then KILL. */
const script = `
trap '' INT TERM HUP
groups=; folder=
while IFS= read -r line; do
  case $line in
    +*) groups="$groups \${line#+}" ;;
    -*) kept=; for group in $groups; do [ "$group" = "\${line#-}" ] || kept="$kept $group"; done; groups=$kept ;;
    =*) folder=\${line#=} ;;
    .) exit 0 ;;
  esac
done
for group in $groups; do kill -TERM "-$group" 2>/dev/null; done
for wait in 1 2 3 4 5; do
  living=
  for group in $groups; do kill -0 "-$group" 2>/dev/null && living=1; done
  [ -z "$living" ] && break
  sleep 1
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
[ -z "$folder" ] || rm -rf -- "$folder"
`
