/** Brings the checkout up to date: packages, generated protobuf code, dist; each only when its sources have changed. */
import {createHash} from 'node:crypto'
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {dirname, join, relative} from 'node:path'
import {fileURLToPath} from 'node:url'
import {cachePath} from './cache.mjs'
import {runQuietly} from './child.mjs'
import {withLock} from './lock.mjs'
import {npmFlags} from './npm.mjs'

/** The checkout's root. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')

const packagesStamp = join(root, 'node_modules', '.atlas-packages')
const stamps = join(root, 'node_modules', '.cache', 'atlas')

/**
 * Installs packages, then generates the protobuf code.
 * @param {{path: string, version: string, npm: string[]}} node
 * @param {(text: string) => void} tell
 */
export async function preparePackages(node, tell) {
  await alone(tell, async () => {
    await installPackages(node, tell)
    await generateProtobuf(node)
  })
}

/**
 * Compiles src to dist.
 * @param {{path: string}} node
 * @param {(text: string) => void} [tell]
 * @throws {Error} with the output of the compiler
 */
export async function compile(node, tell = () => undefined) {
  await alone(tell, async () => {
    const inputs = [...filesBelow('src'), 'tsconfig.json', 'package-lock.json']
    await whenChanged('dist', inputs, 'dist', async () => {
      const information = join(stamps, 'tsbuildinfo')
      // Without dist tsc would trust its build information and write nothing.
      if (!existsSync(join(root, 'dist'))) rmSync(information, {force: true})
      await runTool(node, 'typescript/bin/tsc', ['-p', 'tsconfig.json', '--incremental', '--tsBuildInfoFile', information])
      removeOrphans()
    })
  })
}

/**
 * The environment for programs on that Node: it comes first on PATH, with its npm.
 * @param {{path: string, npm?: string[]}} node
 */
export function environmentFor({path, npm = []}) {
  const [npmNode, npmScript] = npm
  return {
    ...process.env,
    PATH: `${dirname(path)}:${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`,
    ...(npmScript === undefined ? {} : {npm_node_execpath: npmNode, npm_execpath: npmScript}),
  }
}

/** A hash of what `node_modules` is made from; only `npm run` writes it, so one `npm ci` follows a plain `npm install`. */
export function packagesHash(node) {
  return hash([readFileSync(join(root, 'package-lock.json')), node.version.split('.')[0], process.platform, process.arch])
}

function alone(tell, work) {
  const lock = cachePath('locks', `checkout-${hash([root]).slice(0, 16)}.lock`)
  return withLock(lock, work, ({pid}) => tell(`waiting for process ${pid}, which is preparing this checkout`))
}

async function installPackages(node, tell) {
  const wanted = packagesHash(node)
  if (contentOf(packagesStamp) === wanted) return
  tell('installing packages (npm ci)')
  rmSync(packagesStamp, {force: true})
  const [npm, ...first] = node.npm
  await runQuietly(npm, [...first, 'ci', ...npmFlags], {cwd: root})
  writeFileSync(packagesStamp, wanted)
}

async function generateProtobuf(node) {
  const inputs = [...filesBelow('proto'), 'buf.gen.yaml', 'buf.yaml', 'package-lock.json']
  await whenChanged('protobuf', inputs, 'src/gen', () => runTool(node, '@bufbuild/buf/bin/buf', ['generate']))
}

/** Removes files of dist whose source was deleted: tsc keeps them, and oclif would offer a removed command. dist/release is no output of tsc. */
function removeOrphans() {
  for (const file of filesBelow('dist').filter(path => !path.startsWith('dist/release/'))) {
    const source = file.replace(/^dist/, 'src').replace(/(\.d\.ts|\.js)$/, '.ts')
    if (!existsSync(join(root, source))) rmSync(join(root, file))
  }
}

async function whenChanged(name, inputs, output, make) {
  const stamp = join(stamps, name)
  const wanted = hash(inputs.flatMap(file => [file, readFileSync(join(root, file))]))
  if (contentOf(stamp) === wanted && existsSync(join(root, output))) return
  rmSync(stamp, {force: true})
  await make()
  mkdirSync(stamps, {recursive: true})
  writeFileSync(stamp, wanted)
}

function runTool(node, script, args) {
  return runQuietly(node.path, [join(root, 'node_modules', script), ...args], {cwd: root, env: environmentFor(node), keep: 100})
}

function filesBelow(directory) {
  return readdirSync(join(root, directory), {withFileTypes: true})
    .flatMap(entry => {
      const path = join(directory, entry.name)
      return entry.isDirectory() ? filesBelow(path) : [relative(root, join(root, path))]
    })
    .sort()
}

function contentOf(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function hash(parts) {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part).update('\0')
  return sum.digest('hex')
}
