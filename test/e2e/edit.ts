/** How tests break and mend what is stored, with an editor's means: the text of a manifest's file. */
import {readFile, readdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {shardOf} from '../../src/lib/manifest/shard.js'
import {objectNames} from '../../src/lib/model/names.js'
import type {Network} from './network.js'

/** Which files: `service-paris`, `secret-atlas-identities-07`. */
export const files = {
  registration: (cluster: string): string => `service-${cluster}.yaml`,
  identities: (owner: string): string => `secret-${objectNames.identities(shardOf(owner))}.yaml`,
  records: (owner: string): string => `configmap-${objectNames.records(shardOf(owner))}.yaml`,
  trust: `configmap-${objectNames.trust}.yaml`,
  fleet: `configmap-${objectNames.fleet}.yaml`,
}

/** Rewrites a file. @returns puts back what stood there */
export async function edit(network: Network, file: string, change: (text: string) => string): Promise<() => Promise<void>> {
  const whole = path.join(network.folder, 'store', file)
  const before = await readFile(whole, 'utf8')
  const after = change(before)
  if (after === before) throw new Error(`${file} is as it was:\n${before.slice(0, 500)}`)
  await writeFile(whole, after)
  return async () => writeFile(whole, before)
}

/** Where each owner's entries are: a broken shard costs all that share it. */
export function shareShard(a: string, b: string): boolean {
  return shardOf(a) === shardOf(b)
}

export async function storedFiles(network: Network): Promise<readonly string[]> {
  return (await readdir(path.join(network.folder, 'store'))).sort()
}
