/**
 * A process that begins a rotation on a directory store (`begin`), or makes one pass of the leader (`pass`, with what Envoys and servers show). It
 * is killed before the last of so many files that it would put in place or remove.
 */
import fs from 'node:fs/promises'
import {syncBuiltinESMExports} from 'node:module'
import path from 'node:path'
import type {RotationPart} from '../../../src/lib/model/rotation.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {planRenewals} from '../../../src/lib/ops/renewals.js'
import type {Evidence} from '../../../src/lib/ops/rotation/evidence.js'
import {startRotation} from '../../../src/lib/ops/rotation/start.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import {testDependencies, testSettings} from '../../helpers/dependencies.js'

const [what = '', directory = '', at = '', files = '', input = ''] = process.argv.slice(2)

/** Each process makes other keys. */
const dependencies = testDependencies(at, `process ${process.pid}`)
const store = openDirectory({directory})

killBeforeFile(Number(files))
if (what === 'begin') await startRotation(store, input as RotationPart, {}, dependencies)
if (what === 'pass') await pass(JSON.parse(input) as Evidence)

async function pass(evidence: Evidence): Promise<void> {
  const fleet = await store.load()
  const known = {proxies: evidence.proxies, evidence, isClockConfirmed: true, renewedBefore: new Set<never>(), acknowledgeMs: 120_000}
  const renewals = planRenewals(fleet, testSettings, dependencies.now(), known)
  await store.commit(fleet, planReconcile(fleet, dependencies, {renewals, evidence}))
}

function killBeforeFile(last: number): void {
  const {rename, unlink} = fs
  let writes = 0
  const count = async (name: string): Promise<void> => {
    if (path.dirname(name) !== directory || path.basename(name).startsWith('.')) return
    writes += 1
    if (writes < last) return
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => undefined)
  }
  Object.assign(fs, {
    async rename(from: string, to: string) {
      await count(to)
      return rename(from, to)
    },
    async unlink(name: string) {
      await count(name)
      return unlink(name)
    },
  })
  syncBuiltinESMExports()
}
