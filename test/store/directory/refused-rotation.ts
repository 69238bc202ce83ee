/** Runs refusing-disk.ts in a folder of its own. A full disk is a file system in a mount namespace, which Linux lets any user make, as a rule. */
import {spawn} from 'node:child_process'
import {chmod, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import type {RotationPart} from '../../../src/lib/model/rotation.js'
import {ranOf} from '../../helpers/ran.js'

const script = fileURLToPath(new URL('refusing-disk.ts', import.meta.url))

/** @returns how many steps of the rotation the disk has interrupted */
export async function rotateOnRefusingDisk(part: RotationPart, kind: 'denied' | 'full'): Promise<number> {
  const root = await mkdtemp(path.join(tmpdir(), 'atlas-disk-'))
  try {
    // Root's folder, to be read by another user.
    await chmod(root, 0o755)
    const node = [process.execPath, '--import', 'tsx', script, root, part, kind]
    const mounted = ['unshare', '-rm', 'sh', '-euc', 'mount -t tmpfs -o size=1m tmpfs "$1"; shift; exec "$@"', 'sh', root, ...node]
    const [program = '', ...args] = kind === 'full' ? mounted : node
    const {code, stdout, stderr} = await ranOf(spawn(program, args, {stdio: ['ignore', 'pipe', 'pipe']}))
    expect(code, stderr).to.equal(0)
    return Number(stdout)
  } finally {
    await rm(root, {recursive: true, force: true})
  }
}
