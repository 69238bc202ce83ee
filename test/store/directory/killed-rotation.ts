/** A rotation on a directory store in steps, each of which is interrupted between two files, and what must hold after each. */
import {expect} from 'chai'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {type RotationPart, stagesOf} from '../../../src/lib/model/rotation.js'
import {startWorker} from '../../helpers/worker.js'
import type {ModelNetwork} from '../../ops/rotation/model-network.js'
import type {Folder} from './folder.js'

const script = new URL('rotation-worker.ts', import.meta.url)

/** No rotation takes as many steps. */
const STEPS_MAX = 100

/** A part of a rotation that writes several files: the beginning, or a pass of the leader. */
export interface RotationStep {
  readonly what: 'begin' | 'pass'
  readonly part: RotationPart
  readonly network: ModelNetwork
  /** Before which file it is interrupted: the second, or the third. */
  readonly file: number
}

/** @param network as the folder holds it. @returns how many processes were killed */
export async function rotateKilled(part: RotationPart, folder: Folder, network: ModelNetwork): Promise<number> {
  return rotateInterrupted(part, folder, network, async ({what, file}) => {
    const input = what === 'begin' ? part : JSON.stringify(network.evidence())
    const worker = startWorker(script, [what, folder.directory, network.dependencies.now().toISOString(), String(file), input])
    const code = await worker.ended
    if (code !== null) expect(code, worker.errors).to.equal(0)
    return code === 0
  })
}

/**
 * @param network as the folder holds it
 * @param attempt makes a step; returns whether it came to its end
 * @returns how many steps were interrupted
 */
export async function rotateInterrupted(
  part: RotationPart,
  folder: Pick<Folder, 'names' | 'open' | 'store'>,
  network: ModelNetwork,
  attempt: (step: RotationStep) => Promise<boolean>,
): Promise<number> {
  const former = network.fleet
  const fleets: Fleet[] = [former]
  let [interrupted, steps] = [0, 0]
  /** Of two files or more; with one there is nothing between. @returns whether the step came to its end */
  const run = async (what: RotationStep['what']): Promise<boolean> => {
    steps += 1
    expect(steps).to.be.lessThan(STEPS_MAX)
    // A credential is on record before it is written, and one that never was is issued again: two steps in a row must not end in between.
    const isWhole = await attempt({what, part, network, file: 2 + (steps % 2)})
    if (!isWhole) interrupted += 1
    await takeUp()
    return isWhole
  }
  const takeUp = async (): Promise<void> => {
    network.fleet = await folder.open().load()
    expect([...network.fleet.faults]).to.deep.equal([])
    fleets.push(network.fleet)
    // What is stored works for Envoys that have what was stored before, and for those that take it up.
    network.requireWorking()
    network.serve()
    network.acknowledge()
    network.apply()
    network.requireWorking()
    network.dependencies.pass(2)
  }

  while (!(await run('begin'))) expect(network.stage ?? 'announce').to.equal('announce')
  while (network.stage !== undefined) {
    const planned = network.plan()
    if (planned.length > 1) await run('pass')
    else {
      await folder.store.commit(network.fleet, planned)
      await takeUp()
    }
  }
  expectOnward(part, fleets)
  expect((await folder.names()).filter(name => name.endsWith('.yaml') && name.startsWith('.'))).to.deep.equal([])
  expect([...network.fleet.authority.keys()].sort()).to.deep.equal(['credentialIssuer', 'issuer', 'root'])
  // Credentials that were on record and never written are refused later.
  expect(network.plan().filter(({kind}) => kind !== 'record')).to.deep.equal([])
  return interrupted
}

/** The stages came in their order, and no bundle of trust came back. */
function expectOnward(part: RotationPart, fleets: readonly Fleet[]): void {
  const steps = (values: readonly string[]): readonly string[] => values.filter((value, index) => value !== values[index - 1])
  const none = 'none'
  expect(steps(fleets.map(({rotation}) => rotation?.stage ?? none))).to.deep.equal([none, ...stagesOf(part), none])
  const bundles = steps(fleets.map(({trust}) => JSON.stringify(trust)))
  expect(bundles).to.have.length.greaterThan(2)
  expect(new Set(bundles)).to.have.property('size', bundles.length)
  const [first, last] = [fleets[0]?.trust, fleets.at(-1)?.trust]
  expect(last?.issuers).to.have.length(1).and.not.to.include(first?.issuers[0])
  expect(last?.roots).to.have.length(1)
  expect(last?.roots[0] === first?.roots[0], 'the root stays').to.equal(part === 'issuer')
}
