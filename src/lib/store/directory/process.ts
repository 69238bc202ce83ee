/** Whether the process that a file names still runs. Pids are used again, so a process is known by its pid and the time it started. */
import {readFileSync} from 'node:fs'
import {errnoOf} from './write.js'

/**
 * When a process started, in the kernel's clock ticks: field 22 of /proc/<pid>/stat (proc(5)).
 * @returns '' for a process that has ended, and where there is no /proc
 */
export function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold blanks and brackets itself.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? '' : (fields[18] ?? '')
  } catch {
    return ''
  }
}

/** Whether `pid` is a living process that started at `start`; '' accepts any process with that pid. */
export function isAlive(pid: number, start: string): boolean {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return false
  }

  return start === '' || startOf(pid) === start
}
