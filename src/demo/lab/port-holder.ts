/** Names the process that listens on a port, for an error message, with lsof where there is no /proc. */
import {execFileSync} from 'node:child_process'
import {type HeldPort, type Holder, holderInProc, renderHolder} from '../../server/port-holder.js'

/** ` (held by envoy, process 4711)`, or an empty text where the process can't be found. */
export function holderOf(held: HeldPort): string {
  return renderHolder(process.platform === 'linux' ? holderInProc(held) : fromLsof(held))
}

function fromLsof({port, protocol}: HeldPort): Holder | undefined {
  const only = protocol === 'tcp' ? ['-sTCP:LISTEN'] : []
  try {
    const output = execFileSync('lsof', ['-nP', `-i${protocol.toUpperCase()}:${port}`, ...only, '-Fpc'], {encoding: 'utf8'})
    const pid = /^p(\d+)$/m.exec(output)?.[1]
    const name = /^c(.+)$/m.exec(output)?.[1]
    return pid === undefined ? undefined : {pid: Number(pid), name: name ?? 'a program'}
  } catch {
    return undefined
  }
}
