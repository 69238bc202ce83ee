#!/usr/bin/env node
/** The `atlas` program: refuses a Node that is too old, answers --version without oclif, leaves the rest to the commands. */
import {existsSync, readFileSync} from 'node:fs'
import * as nodeModule from 'node:module'
import {homedir, userInfo} from 'node:os'
import {join} from 'node:path'
import {fits} from './engines.js'

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
  nodeModule.enableCompileCache?.()
  ensureUser()
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

/** Errors outside of any command, such as a command that does not exist; commands print their own. */
async function explain(error) {
  if (error.code === 'EEXIT') {
    process.exitCode = error.oclif.exit
    return
  }
  const {exitCodes, renderError, errorReport} = await import('../dist/lib/cli/text/error.js')
  // oclif has colons where people type spaces.
  const {message, ...rest} = errorReport(error)
  const report = {message: message.replace(/^command \S+ not found/, words => words.replaceAll(':', ' ')), ...rest}
  process.exitCode = exitCodes[report.code]
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({error: report}, undefined, 2)}\n`)
  else process.stderr.write(`${renderError(report)}\n`)
}

/** The Node that `npm run build` fetched for a checkout, if there is one. */
function fetched() {
  const cache = process.env.ATLAS_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'atlas')
  const bin = join(cache, 'node', `${process.platform}-${process.arch}-24`, 'bin')
  return existsSync(bin) ? `, or put the one that Atlas has fetched first on your PATH: export PATH="${bin}:$PATH"` : ''
}
