/**
 * Runs as a process of its own: a rotation on a directory store whose disk refuses writes between two files, by errors of the kernel, and works
 * again after each. One store object makes every step, as in a server. Prints how many steps were interrupted.
 *
 * `full` (ENOSPC): the directory is a small file system, which is filled. `denied` (EACCES): the directory loses its mode, for a user other than root.
 */
import {strict as assert} from 'node:assert'
import fs from 'node:fs/promises'
import {chmodSync, chownSync, closeSync, openSync, readdirSync, rmSync, writeSync} from 'node:fs'
import {syncBuiltinESMExports} from 'node:module'
import path from 'node:path'
import type {RotationPart} from '../../../src/lib/model/rotation.js'
import {startRotation} from '../../../src/lib/ops/rotation/start.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import {testDependencies} from '../../helpers/dependencies.js'
import {ModelNetwork} from '../../ops/rotation/model-network.js'
import {quickTimes} from './folder.js'
import {rotateInterrupted} from './killed-rotation.js'
import {seed} from './seed.js'

const [root = '', part = '', kind = ''] = process.argv.slice(2)
const NOBODY = 65_534
const directory = path.join(root, 'store')
const filler = path.join(root, 'filler')

/** Each with how it begins, how it ends, and what the error says. */
const refusals = {
  full: {
    begin() {
      const file = openSync(filler, 'w')
      try {
        for (;;) writeSync(file, Buffer.alloc(4096))
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      } finally {
        closeSync(file)
      }
    },
    end() {
      rmSync(filler, {force: true})
    },
    says: /ENOSPC/,
  },
  denied: {
    begin() {
      chmodSync(directory, 0o500)
    },
    end() {
      chmodSync(directory, 0o700)
    },
    says: /EACCES/,
  },
}
const refusal = refusals[kind as keyof typeof refusals]

const network = new ModelNetwork(testDependencies(), ['paris'])
await seed(directory, network.fleet)
if (kind === 'denied') withoutRoot()
const store = openDirectory({directory, times: quickTimes})
const folder = {store, open: () => openDirectory({directory, times: quickTimes}), names: async () => readdirSync(directory)}
const interrupted = await rotateInterrupted(part as RotationPart, folder, network, async step => {
  const stop = refuseBeforeFile(step.file)
  try {
    if (step.what === 'begin') await startRotation(store, step.part, {}, network.dependencies)
    else await store.commit(network.fleet, network.plan())
    return true
  } catch (error) {
    assert.match(String(error), refusal.says)
    return false
  } finally {
    stop()
    refusal.end()
  }
})
process.stdout.write(`${interrupted}\n`)

/** Root may write into every directory. */
function withoutRoot(): void {
  if (process.geteuid?.() !== 0) return
  for (const name of ['.', ...readdirSync(directory)]) chownSync(path.join(directory, name), NOBODY, NOBODY)
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
}

/** The disk refuses from right before that file on, of those that are put in place or removed. @returns ends the watch */
function refuseBeforeFile(file: number): () => void {
  const {rename, unlink} = fs
  let writes = 0
  const count = (name: string): void => {
    if (path.dirname(name) !== directory || path.basename(name).startsWith('.')) return
    writes += 1
    if (writes === file - 1) isNext = true
  }
  let isNext = false
  const after = (): void => {
    if (isNext) refusal.begin()
    isNext = false
  }
  Object.assign(fs, {
    async rename(from: string, to: string) {
      count(to)
      await rename(from, to)
      after()
    },
    async unlink(name: string) {
      count(name)
      await unlink(name)
      after()
    },
  })
  syncBuiltinESMExports()
  return () => {
    Object.assign(fs, {rename, unlink})
    syncBuiltinESMExports()
  }
}
