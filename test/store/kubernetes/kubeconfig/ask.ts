/** Sends a request with kubectl and with Atlas, each in a row's folder and environment, and returns what servers got. */
import {spawn} from 'node:child_process'
import {chmod, mkdir, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {dump} from 'js-yaml'
import {AtlasError} from '../../../../src/lib/model/errors.js'
import {openAccess} from '../../../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../../../src/lib/store/kubernetes/client.js'
import {atlasBin} from '../../../helpers/atlas.js'
import {program} from '../../../helpers/kubernetes/programs.js'
import {NOTES} from './rows/exec.js'
import type {Given} from './rows/row.js'
import type {Sent, Servers} from './servers.js'

/** What came of one attempt. */
export interface Asked {
  /** Undefined: nothing came. */
  readonly sent: Sent | undefined
  readonly isAnswered: boolean
  /** What a program that gives credentials was run with. */
  readonly notes: readonly unknown[]
  readonly error?: AtlasError | undefined
  /** What was printed. */
  readonly output: string
}

/** Writes the row's files. */
export async function writeRow(folder: string, {files = {}, links = {}}: Given): Promise<void> {
  for (const [name, content] of Object.entries({...files, 'home/.keep': ''})) {
    const file = path.join(folder, name)
    await mkdir(path.dirname(file), {recursive: true})
    const text = typeof content === 'string' ? content : dump(JSON.parse(JSON.stringify(content)))
    await writeFile(file, text.replaceAll('FOLDER', folder))
    if (name.endsWith('.sh')) await chmod(file, 0o755)
  }

  for (const [name, target] of Object.entries(links)) await symlink(target, path.join(folder, name))
}

/** Several at a time: what came is known by its path, which is the folder's own. */
export async function askKubectl(folder: string, given: Given, servers: Servers): Promise<Asked> {
  const request = given.below === undefined ? ['get', '--raw', pathOf(folder)] : ['version', '--output=json']
  const flags = [...(given.context === undefined ? [] : ['--context', given.context]), ...kubeconfigFlag(given)]
  const ran = await run(program('kubectl'), [...request, ...flags, '--request-timeout=10s'], {folder, given})
  return {...(await noted(folder, servers, partOf(folder, given))), isAnswered: ran.code === 0, output: ran.output}
}

/** One at a time: it changes this process's environment meanwhile. */
export async function askAtlas(folder: string, given: Given, servers: Servers): Promise<Asked> {
  if (given.isProgram === true) {
    const ran = await run(process.execPath, [atlasBin, 'cluster', 'list', ...kubeconfigFlag(given)], {folder, given})
    const asked = await noted(folder, servers, '/api/')
    return {...asked, sent: asked.sent && {...asked.sent, path: pathOf(folder)}, isAnswered: asked.sent !== undefined, output: ran.output}
  }

  return inPlace(folder, given, async () => {
    let error: AtlasError | undefined
    try {
      const client = openClient(
        await openAccess({
          ...(given.kubeconfig !== undefined && {kubeconfig: given.kubeconfig}),
          ...(given.context !== undefined && {context: given.context}),
        }),
      )
      try {
        await client.call({
          info: {verb: 'get', resource: 'none', group: '', namespace: ''},
          path: given.below === undefined ? pathOf(folder) : '/version',
          timeoutMs: 10_000,
        })
      } finally {
        client.close()
      }
    } catch (thrown) {
      if (!(thrown instanceof AtlasError)) throw thrown
      error = thrown
    }

    return {
      ...(await noted(folder, servers, partOf(folder, given))),
      isAnswered: error === undefined,
      error,
      output: `${error?.message ?? ''}\n${error?.hint ?? ''}`,
    }
  })
}

function pathOf(folder: string): string {
  return `/${path.basename(folder)}`
}

function partOf(folder: string, {below}: Given): string {
  return below === undefined ? pathOf(folder) : `${below}/version`
}

function kubeconfigFlag({kubeconfig}: Given): readonly string[] {
  return kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]
}

function environmentOf(folder: string, {environment = {}, kubeconfig}: Given): Record<string, string> {
  const all = {PATH: '/usr/bin:/bin', HOME: 'FOLDER/home', ...(kubeconfig === undefined && {KUBECONFIG: 'config'}), ...environment}
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, value.replaceAll('FOLDER', folder)]))
}

/** In this process, which is as it was afterwards. */
async function inPlace<T>(folder: string, given: Given, work: () => Promise<T>): Promise<T> {
  const [environment, directory] = [{...process.env}, process.cwd()]
  const replace = (by: NodeJS.ProcessEnv): void => {
    for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name)
    Object.assign(process.env, by)
  }
  try {
    replace(environmentOf(folder, given))
    process.chdir(path.join(folder, given.directory ?? ''))
    return await work()
  } finally {
    process.chdir(directory)
    replace(environment)
  }
}

async function run(
  command: string,
  args: readonly string[],
  {folder, given}: {readonly folder: string; readonly given: Given},
): Promise<{readonly code: number | null; readonly output: string}> {
  // kubectl asks at a terminal for a user name that is missing; a program that gives credentials learns whether there is a terminal.
  const child = spawn(command, args, {
    cwd: path.join(folder, given.directory ?? ''),
    env: environmentOf(folder, given),
    stdio: [given.environment?.['NOTES'] === undefined ? 'ignore' : 'inherit', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', piece => (output += String(piece)))
  child.stderr.on('data', piece => (output += String(piece)))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return {code, output}
}

/** What has come to the servers, and what programs have noted; both are forgotten. */
async function noted(folder: string, servers: Servers, part: string): Promise<Pick<Asked, 'notes' | 'sent'>> {
  const notes = await Promise.all(
    NOTES.map(async name => {
      const text = await readFile(path.join(folder, name), 'utf8').catch(() => undefined)
      await rm(path.join(folder, name), {force: true})
      return name === 'exec-info' && text !== undefined ? withoutNull(JSON.parse(text)) : text
    }),
  )
  return {sent: servers.take(part)[0], notes}
}

/** Go writes what is absent as null. */
function withoutNull(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, each: unknown) => (each === null ? undefined : each)))
}
