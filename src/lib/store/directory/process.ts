/** Whether the process that a file names still runs. Pids are used again, so a process is known by its pid and the time it started. */
import {readFileSync} from 'node:fs'
import {errnoOf} from './write.js'

/**
 * When a process started, in the kernel's clock ticks: field 22 of /proc/<pid>/stat (proc(5)).
 * @returns '' for a process that has ended, and where there is no /proc
 */
export function startOf(pid: number): string {
  const [state, ...fields] = statOf(pid)
  return isEnded(state) ? '' : (fields[18] ?? '')
}

/** Whether a process was stopped, such as by Ctrl-Z, or by a debugger: it holds what it holds, and does nothing. */
export function isStopped(pid: number): boolean {
  const [state] = statOf(pid)
  return state === 'T' || state === 't'
}

/** The fields of /proc/<pid>/stat from the state on; none where there is no such process, or no /proc. */
function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold blanks and brackets itself.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

/** Killed, though its parent has not waited for it: a zombie has a pid, and holds nothing. */
function isEnded(state: string | undefined): boolean {
  return state === 'Z' || state === 'X'
}

/** Whether `pid` is a living process that started at `start`; '' accepts any process with that pid. */
export function isAlive(pid: number, start: string): boolean {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return false
  }

  return start === '' ? !isEnded(statOf(pid)[0]) : startOf(pid) === start
}
