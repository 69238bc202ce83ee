#!/usr/bin/env node
/** The `atlas` program: refuses a Node that is too old, answers --version without oclif, leaves the rest to the commands. */
import {existsSync, lstatSync, mkdirSync, readFileSync} from 'node:fs'
import * as nodeModule from 'node:module'
import {homedir, userInfo} from 'node:os'
import {dirname, join} from 'node:path'
import {setFlagsFromString} from 'node:v8'
import {fits} from './engines.js'

// Has V8 collect garbage sooner. Garbage here is short-lived and comes in bursts (modules that load, a fleet that is read, a thousand
// handshakes); by default V8 grows its young generation to fit them and keeps it. Set before anything is loaded, this saves 24 MiB of a
// server's 128 with 10 clusters, 35 of 210 with 1,000 before Envoys connect, and 30 of `cluster list`'s 134, for the same CPU time.
setFlagsFromString('--semi-space-growth-factor=1')

// Has V8's optimizing compiler wait longer (by default for 400 calls of a function) in commands, which end soon after: that saves 50 of 400 ms
// of the CPU time of `cluster list` with 1,000 clusters. Work that takes seconds is optimized all the same.
if (!['demo', 'serve'].includes(process.argv[2])) setFlagsFromString('--invocation-count-for-maglev=5000')

const {name, version, engines} = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const [first, ...others] = process.argv.slice(2)

if (!fits(process.versions.node, engines.node)) {
  process.stderr.write(
    `Error: atlas needs Node ${engines.node}, this is ${process.version}\n  Hint: install a current Node, e.g. version 24${fetched()}\n`,
  )
  process.exitCode = 1
} else if ((first === '--version' || first === '-v') && others.length === 0) {
  // The same text as oclif's, without the 60 ms that loading it takes.
  process.stdout.write(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}\n`)
} else {
  if (process.pid === 1) await import('../dist/lib/cli/signals.js').then(({endOnSignals}) => endOnSignals())
  ensureUser()
  keepCompiledCode()
  // Node's version is checked above; oclif would load 47 modules for it.
  process.env.OCLIF_DISABLE_ENGINE_WARNING ??= '1'
  // oclif fills two columns more than it is told, which a terminal would break. Help that is piped is as wide as COLUMNS says, or as the terminal
  // behind the pipe.
  const told = /^[1-9]\d{1,2}$/.test(process.env.COLUMNS ?? '') ? Number(process.env.COLUMNS) : undefined
  const terminal = process.stdout.isTTY ? process.stdout.columns || 80 : told
  const columns = terminal === undefined ? Math.max(process.stderr.columns ?? 0, 120) : Math.max(terminal - 2, 40)
  process.env.OCLIF_COLUMNS ??= String(columns)
  // The reader closed its end, as `head` does; oclif would wait forever for the rest to be written.
  process.stdout.on('error', error => error.code === 'EPIPE' && process.exit())
  const {flush, run} = await import('@oclif/core')
  await run(process.argv.slice(2), import.meta.url).then(() => flush(), explain)
}

/** A container's user may be missing from /etc/passwd; packages that look up its home or its shell there would end the program. */
function ensureUser() {
  if (process.env.HOME !== undefined && process.env.SHELL !== undefined) return
  try {
    userInfo()
  } catch {
    process.env.HOME ??= '/'
    process.env.SHELL ??= '/usr/sbin/nologin'
  }
}

/**
 * Node's cache of compiled code, in a folder of this user. Node's default is one folder below /tmp for all users: the user who creates it
 * first could leave code there that others then run.
 */
function keepCompiledCode() {
  const isDecided = process.env.NODE_DISABLE_COMPILE_CACHE !== undefined || process.env.NODE_COMPILE_CACHE !== undefined
  if (isDecided || nodeModule.enableCompileCache === undefined) return
  const cache = cacheFolder()
  const folder = join(cache, 'compiled')
  try {
    // One by one: a home that does not exist is not created.
    for (const each of [dirname(cache), cache, folder]) if (!existsSync(each)) mkdirSync(each, {mode: 0o700})
    const {uid, mode} = lstatSync(folder)
    const isOwn = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)
    if (isOwn) nodeModule.enableCompileCache(folder)
  } catch {
    // Without a place to write, modules are compiled each time.
  }
}

/** Errors outside of any command, such as a command that does not exist; commands print their own. */
async function explain(error) {
  if (error.code === 'EEXIT') {
    process.exitCode = error.oclif.exit
    return
  }
  const {exitCodes, renderError, errorReport} = await import('../dist/lib/cli/text/error.js')
  const {unknownCommand} = await import('../dist/lib/cli/text/mistyped.js')
  const [, id] = /^command (\S+) not found/.exec(error.message) ?? []
  const report = {...errorReport(error), ...(id !== undefined && unknownCommand(id, commandIds()))}
  process.exitCode = exitCodes[report.code]
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({error: report}, undefined, 2)}\n`)
  else process.stderr.write(`${renderError(report)}\n`)
}

function commandIds() {
  return Object.keys(JSON.parse(readFileSync(new URL('../oclif.manifest.json', import.meta.url), 'utf8')).commands)
}

/** The Node that `npm run build` fetched for a checkout, if there is one. */
function fetched() {
  const bin = join(cacheFolder(), 'node', `${process.platform}-${process.arch}-24`, 'bin')
  return existsSync(bin) ? `, or put the one that Atlas has fetched first on your PATH: export PATH="${bin}:$PATH"` : ''
}

/** As `cachePath` of scripts/setup/cache.mjs, which a published package does not have. */
function cacheFolder() {
  return process.env.ATLAS_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'atlas')
}
