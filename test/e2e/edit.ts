/** Breaks and repairs stored objects as an operator would: by editing a manifest's file. */
import {readFile, rename, unlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {shardOf} from '../../src/lib/manifest/layout.js'
import {objectNames} from '../../src/lib/model/names.js'
import type {Network} from './network.js'

/** Finds files by name: `service-paris`, `secret-atlas-identities-07`. */
export const files = {
  registration: (cluster: string): string => `service-${cluster}.yaml`,
  identities: (owner: string): string => `secret-${objectNames.identities(shardOf(owner))}.yaml`,
  records: (owner: string): string => `configmap-${objectNames.records(shardOf(owner))}.yaml`,
  trust: `configmap-${objectNames.trust}.yaml`,
  fleet: `configmap-${objectNames.fleet}.yaml`,
}

/** Rewrites a file. @returns a function that restores it */
export async function edit(network: Network, file: string, change: (text: string) => string): Promise<() => Promise<void>> {
  const whole = path.join(network.folder, 'store', file)
  const before = await readFile(whole, 'utf8')
  const after = change(before)
  if (after === before) throw new Error(`${file} is as it was:\n${before.slice(0, 500)}`)
  await replace(network, whole, after)
  return async () => replace(network, whole, before)
}

/** Removes a file. @returns a function that restores it */
export async function remove(network: Network, file: string): Promise<() => Promise<void>> {
  const whole = path.join(network.folder, 'store', file)
  const before = await readFile(whole, 'utf8')
  await unlink(whole)
  return async () => replace(network, whole, before)
}

/** As editors do, so that the server never reads half of it. */
async function replace({folder}: Network, file: string, text: string): Promise<void> {
  const draft = path.join(folder, `draft-${path.basename(file)}`)
  await writeFile(draft, text, {mode: 0o600})
  await rename(draft, file)
}
