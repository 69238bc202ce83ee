/** The clock of this machine that is never set. */
import {uptime} from 'node:os'

/**
 * Milliseconds since the machine was started. Unlike `performance.now`, it goes on while the machine is suspended (Linux: /proc/uptime,
 * CLOCK_BOOTTIME), so that a laptop that wakes up does not seem to have been set ahead. Of a virtual machine that its host pauses it stops.
 */
export function steady(): number {
  return uptime() * 1000
}
