/** Runs a script in a network of its own, where any user may bind port 53 and name the resolver. Linux lets any user make one, as a rule. */
import {spawn} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {createInterface} from 'node:readline'

/** Switches the loopback interface on (SIOCSIFFLAGS: up, loopback, running); iproute2 is not on every machine. */
const loopbackUp = `import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 0x49))`

/**
 * @param script a TypeScript file; each line that it prints is JSON
 * @param options.resolver the address of its name server
 * @param options.hear is told of each line when it comes
 * @throws Error with what it wrote to stderr when it fails
 */
export async function runInOwnNetwork<Line>(
  script: string,
  argument: string,
  {resolver, hear}: {readonly resolver: string; readonly hear?: (line: Line) => void},
): Promise<readonly Line[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atlas-own-network-'))
  try {
    const file = path.join(folder, 'resolv.conf')
    await writeFile(file, `nameserver ${resolver}\n`)
    const setUp = `mount --bind "$1" /etc/resolv.conf; python3 -c '${loopbackUp}'; shift; exec "$@"`
    const node = [process.execPath, '--import', 'tsx', script, argument]
    const child = spawn('unshare', ['-rnm', 'sh', '-euc', setUp, 'sh', file, ...node], {stdio: ['ignore', 'pipe', 'pipe']})
    const lines: Line[] = []
    let errors = ''
    child.stderr.on('data', chunk => (errors += String(chunk)))
    createInterface(child.stdout).on('line', text => {
      const line = JSON.parse(text) as Line
      lines.push(line)
      hear?.(line)
    })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    if (code !== 0) throw new Error(`${path.basename(script)} ended with ${code}: ${errors}`)
    return lines
  } finally {
    await rm(folder, {recursive: true, force: true})
  }
}
