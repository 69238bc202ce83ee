/**
 * A container without an image: a root with Node, its libraries and the files that the Dockerfile copies, and nothing else;
 * processes run in it as the Dockerfile's user, read-only except for a store. The tests build no image (no engine, no network).
 */
import {execFileSync, type ChildProcessByStdio, spawn} from 'node:child_process'
import {chmodSync, chownSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import type {Readable} from 'node:stream'
import {readImage} from '../../scripts/release/dockerfile.mjs'
import {type Ran, ranOf} from './ran.js'
import {temporary} from './release.js'

export interface ImageRoot {
  readonly root: string
  /** On this machine; in the container it is `/store`. */
  readonly store: string
  /** The image's entry point with these arguments. */
  start(args: readonly string[], how?: Partial<Container>): ChildProcessByStdio<null, Readable, Readable>
  run(args: readonly string[], how?: Partial<Container>): Promise<Ran>
}

export interface Container {
  /** Whether everything except the store is mounted read-only; the default. */
  readonly isReadOnly: boolean
  /** Variables beside those of the Dockerfile; none of this process. */
  readonly environment: Record<string, string>
  /** Instead of the image's. */
  readonly entrypoint: readonly string[]
}

/** Makes a root directory of the image's unpacked context. */
export function makeImageRoot(context: string): ImageRoot {
  const image = readImage(readFileSync(join(context, 'Dockerfile'), 'utf8'))
  const uid = Number(image.user.split(':')[0])
  const [root, store] = [temporary('root'), temporary('store')]
  for (const folder of ['proc', 'dev', 'etc', 'store', 'tmp', 'home/nonroot']) mkdirSync(join(root, folder), {recursive: true})
  for (const source of image.sources) cpSync(join(context, source), join(root, source), {recursive: true})
  addNode(root)
  chmodSync(root, 0o755)
  chmodSync(join(root, 'tmp'), 0o1777)
  if (isRoot) for (const folder of [store, join(root, 'home/nonroot')]) chownSync(folder, uid, uid)

  const script = join(temporary('script'), 'container.sh')
  writeFileSync(script, containerScript(root, store, uid))

  function start(args: readonly string[], {isReadOnly = true, environment = {}, entrypoint = image.entrypoint}: Partial<Container> = {}) {
    // A user who is not root enters a user namespace, where it has the image's uid and may mount.
    const asUser = isRoot ? [] : ['--user', `--map-user=${uid}`, `--map-group=${uid}`, '--keep-caps']
    return spawn('unshare', [...asUser, '--mount', '/bin/sh', '-eu', script, ...entrypoint, ...args], {
      env: {...image.environment, ...environment, ATLAS_TEST_READ_ONLY: isReadOnly ? 'yes' : 'no'},
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  return {root, store, start, run: async (args, how) => ranOf(start(args, how))}
}

const isRoot = process.getuid?.() === 0

/** Node at its path in the base image, with the libraries that it links to, which the base image has, too. */
function addNode(root: string): void {
  const libraries = execFileSync('ldd', [process.execPath], {encoding: 'utf8'}).match(/\/\S+/g) ?? []
  for (const [from, to] of [[process.execPath, '/nodejs/bin/node'] as const, ...libraries.map(path => [path, path] as const)]) {
    mkdirSync(dirname(join(root, to)), {recursive: true})
    if (!existsSync(join(root, to))) copyFileSync(from, join(root, to))
  }
}

/** Programs before chroot are this machine's, by their full path: PATH is already the image's. */
function containerScript(root: string, store: string, uid: number): string {
  return `mount=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v mount)
chroot=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v chroot)
$mount --bind ${root} ${root}
$mount --rbind /proc ${root}/proc
$mount --rbind /dev ${root}/dev
$mount --bind ${store} ${root}/store
if [ "$ATLAS_TEST_READ_ONLY" = yes ]; then $mount -o remount,bind,ro ${root}; fi
unset ATLAS_TEST_READ_ONLY PWD OLDPWD
exec $chroot ${isRoot ? `--userspec=${uid}:${uid} ` : ''}${root} "$@"
`
}
