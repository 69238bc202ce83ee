/** A process that works on a directory store, by its arguments: `add`, `serve`, `lock`. It reports its progress on stdout. */
import {readFileSync, unlinkSync, writeFileSync} from 'node:fs'
import {setTimeout as sleep} from 'node:timers/promises'
import {parseAddress} from '../../../src/lib/model/address.js'
import {defaultStack, targetsOf} from '../../../src/lib/model/stack.js'
import {addCluster} from '../../../src/lib/ops/cluster/add.js'
import {cryptoSigner} from '../../../src/lib/pki/signer.js'
import {tryLock} from '../../../src/lib/store/directory/lock.js'
import {startOf} from '../../../src/lib/store/directory/process.js'
import {openDirectory} from '../../../src/lib/store/open.js'
import {randomSource} from '../../helpers/random.js'
import {serverAt, unmoved} from '../../helpers/server.js'

const [what = '', target = '', ...rest] = process.argv.slice(2)
const say = (text: string): void => void process.stdout.write(`${text}\n`)

/** Adds the clusters named, one after the other. */
async function add(names: readonly string[]): Promise<void> {
  const store = openDirectory({directory: target})
  const dependencies = {now: () => new Date(), signer: cryptoSigner}
  const request = {addresses: [parseAddress('198.51.100.9')]}
  say('begins')
  for (const name of names) {
    await addCluster(store, name, {request, defaults: targetsOf(defaultStack)}, dependencies)
    say(name)
  }
}

/** Holds the store until it is killed. */
async function serve(): Promise<void> {
  const outcome = await openDirectory({directory: target})
    .hold(serverAt(rest[0] ?? ''), unmoved)
    .then(
      () => 'holds',
      (error: unknown) => String(error),
    )
  say(outcome)
  if (outcome === 'holds') await sleep(600_000)
}

/** Takes a lock so often, and sees that it is alone inside. */
async function lock(rounds: number): Promise<void> {
  const inside = `${target}.inside`
  const random = randomSource('how long a lock is held')
  say('begins')
  for (let round = 0; round < rounds;) {
    const taken = await tryLock(target)
    if (!('release' in taken)) {
      await sleep(1)
      continue
    }

    const other = readOr(inside, '')
    if (other !== '' && isAlive(Number(other))) say(`not alone: ${other}`)
    writeFileSync(inside, String(process.pid))
    await sleep(random() * 2)
    if (readOr(inside, '') !== String(process.pid)) say('not alone: somebody came in')
    unlinkSync(inside)
    await taken.release()
    round += 1
  }

  say('ends')
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return otherwise
  }
}

/** A killed process that its parent has not waited for yet has a pid, and is dead all the same. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || startOf(pid) !== ''
  } catch {
    return false
  }
}

if (what === 'add') await add(rest)
if (what === 'serve') await serve()
if (what === 'lock') await lock(Number(rest[0]))
