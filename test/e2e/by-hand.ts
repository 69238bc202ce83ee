/** Does by hand what a rotation of the root asks of people: the commands that `atlas rotate --status` names, in the order in which it names them. */
import path from 'node:path'
import {expect} from 'chai'
import {OBSERVABILITY} from '../../src/lib/model/names.js'
import {atlas} from '../helpers/atlas.js'
import type {Ran} from '../helpers/ran.js'
import type {TestEnvoy} from './envoy.js'
import {until} from './look.js'
import type {Network} from './network.js'

/** `atlas …args` on the network's directory. */
export async function atlasIn(network: Network, ...args: readonly string[]): Promise<Ran> {
  return atlas(...args, '--store', path.join(network.folder, 'store'))
}

/** Waits until the command names these owners at least, and applies the credentials of all that it names. @returns whose these are, in order */
export async function applyAsTold(network: Network, awaited: readonly string[]): Promise<readonly string[]> {
  let told: readonly string[] = []
  // An Envoy that is just between two connections is waited for with other words, which name no command.
  await until(network, `the command to name ${awaited.join(', ')}`, async () => {
    const {code, stdout, stderr} = await atlasIn(network, 'rotate', '--status')
    expect(code, stderr).to.equal(0)
    told = namedIn(stdout.split('\n').filter(line => line.startsWith('- ')))
    return awaited.every(owner => told.includes(owner))
  })
  for (const owner of told) {
    const written = await atlasIn(network, 'cluster', 'values', owner, '--format', 'bootstrap', '--output', envoyOf(network, owner).folder)
    expect(written.code, written.stderr).to.equal(0)
  }

  return told
}

function namedIn(lines: readonly string[]): readonly string[] {
  return lines.flatMap(line => /"atlas cluster values ([a-z0-9-]+) --format/.exec(line)?.[1] ?? [])
}

function envoyOf(network: Network, owner: string): TestEnvoy {
  return owner === OBSERVABILITY ? network.observability : network.member(owner).envoy
}
