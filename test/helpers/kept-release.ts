/**
 * What an earlier commit wrote, as it is kept in test/golden/upgrade, for clones without that commit: it stands in for the commands of the
 * earlier release, and the present program for its server.
 */
import {chmod, cp, mkdir, readFile, readdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {fileURLToPath} from 'node:url'
import {atlasBin} from './atlas.js'
import type {Ran} from './ran.js'
import type {OldRelease} from './old-release.js'

/** The loopback addresses of the kept files: `127.63.1.11`; a test has another third part. */
const KEPT_ADDRESS = /\b127\.(6[345])\.1\.(?=\d)/g
const KEPT_FOLDER = /\/kept\//g

const done: Ran = {code: 0, stdout: '', stderr: ''}

/** The release of `commit` for a network with the clusters that are kept: `init` copies the store, `cluster values` a bootstrap. */
export function keptRelease(commit: string): OldRelease {
  const kept = fileURLToPath(new URL(`../golden/upgrade/${commit}`, import.meta.url))
  return {bin: atlasBin, run: async (...args) => runKept(kept, args)}
}

async function runKept(kept: string, args: readonly string[]): Promise<Ran> {
  const [command = '', verb = '', owner = ''] = args
  if (command === 'init') await copy(path.join(kept, 'store'), flag(args, '--store'), flag(args, '--address'))
  else if (command === 'cluster' && verb === 'values')
    await copy(path.join(kept, 'envoy', `${owner}-0`), flag(args, '--output'), flag(args, '--bind-address'))
  // Its registrations are in the store.
  else if (command !== 'cluster' || verb !== 'add') throw new Error(`not among what is kept: atlas ${args.join(' ')}`)
  return done
}

function flag(args: readonly string[], name: string): string {
  const value = args[args.indexOf(name) + 1]
  if (!args.includes(name) || value === undefined) throw new Error(`${name} is missing: atlas ${args.join(' ')}`)
  return value
}

/** Copies a folder with the addresses and paths of this test. Every file may hold a key. */
async function copy(from: string, to: string, address: string): Promise<void> {
  const third = address.split('.')[2] ?? ''
  await mkdir(to, {recursive: true, mode: 0o700})
  await cp(from, to, {recursive: true})
  for (const entry of await readdir(to, {recursive: true, withFileTypes: true})) {
    const file = path.join(entry.parentPath, entry.name)
    if (entry.isDirectory()) {
      await chmod(file, 0o700)
      continue
    }

    const text = await readFile(file, 'utf8')
    const placed = text.replaceAll(KEPT_ADDRESS, `127.$1.${third}.`).replaceAll(KEPT_FOLDER, `${path.resolve(to, '../..')}/`)
    await writeFile(file, placed)
    await chmod(file, 0o600)
  }
}
