/** A directory with a fleet in it, written once by the store and copied after: a case that needs it does not wait for the disk. */
import {mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import {changesOf} from '../../helpers/fleet-changes.js'

const written = new Map<Fleet, ReadonlyMap<string, Buffer>>()

/** Makes `directory` as the first commit of `fleet` leaves it. */
export async function seed(directory: string, fleet: Fleet): Promise<void> {
  const files = written.get(fleet) ?? (await filesOf(fleet))
  written.set(fleet, files)
  mkdirSync(directory, {recursive: true, mode: 0o700})
  for (const [name, bytes] of files) writeFileSync(path.join(directory, name), bytes, {mode: name.startsWith('secret-') ? 0o600 : 0o644})
}

async function filesOf(fleet: Fleet): Promise<ReadonlyMap<string, Buffer>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'atlas-seed-'))
  try {
    const store = openDirectory({directory: folder, create: true})
    await store.commit(await store.load(), changesOf(fleet))
    return new Map(readdirSync(folder).map(name => [name, readFileSync(path.join(folder, name))]))
  } finally {
    rmSync(folder, {recursive: true})
  }
}
