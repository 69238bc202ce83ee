/**
 * Builds a program with Go: in its module's own directory in Go's cache, so that its go.sum and `replace` lines apply,
 * or in a module beside this file, for a program that needs its own `replace` lines.
 * Also copies files of a module.
 */
import {readFileSync, writeFileSync} from 'node:fs'
import {join, resolve} from 'node:path'
import {fileURLToPath} from 'node:url'
import {runQuietly} from '../setup/child.mjs'

/**
 * Compiles `main` of a module to `binary`, with low priority, and reports the progress.
 * @param {{module?: string, version?: string, directory?: string, main: string, ldflags: string, tags?: string, modules: number}} source
 * @param {{binary: string, report: import('./status.mjs').Report}} target
 */
export async function buildWithGo({module, version, directory, ...how}, {binary, report}) {
  const go = await goCommand(report)
  const cwd =
    directory === undefined ? await fetchModule(go, {module, version, report}) : fileURLToPath(new URL(directory, import.meta.url))
  await compile(go, {...how, module, cwd}, {binary, report})
}

/**
 * Compiles `main` in the module at `cwd` to `binary`.
 * @param {Go} go
 * @param {{cwd: string, module?: string, main: string, ldflags: string, tags?: string, modules: number}} what
 * @param {{binary: string, report: import('./status.mjs').Report}} target
 */
export async function compile(go, {cwd, module, main, ldflags, tags = '', modules}, {binary, report}) {
  const flags = ['-trimpath', `-tags=${tags}`, `-ldflags=-s -w ${ldflags}`]
  report.set({state: 'fetching'})
  const fetching = progress(report, `fetching the Go modules of ${module ?? main}`, modules)
  await go(['list', '-deps', ...flags, main], {cwd, onLine: line => line.startsWith('go: downloading ') && fetching()})
  const stale = await go(['list', '-deps', ...flags, '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', main], {cwd})

  const total = stale.split('\n').filter(line => line.trim() !== '').length
  report.set({state: 'building'})
  const building = progress(report, 'compiling packages', total)
  await go(['build', '-v', ...flags, '-o', resolve(binary), main], {cwd, onLine: line => /^[^\s:]+$/.test(line) && building()})
}

/**
 * Joins YAML files of modules in one file. It is executable, since the cache looks for an executable file.
 * @param {{files: {module: string, version: string, path: string}[]}} source
 * @param {{binary: string, report: import('./status.mjs').Report}} target
 */
export async function takeFromGo({files}, {binary, report}) {
  const go = await goCommand(report)
  const texts = []
  for (const {module, version, path} of files)
    texts.push(readFileSync(join(await fetchModule(go, {module, version, report}), path), 'utf8').replace(/^---\n/, ''))
  writeFileSync(binary, texts.join('---\n'), {mode: 0o755})
}

/**
 * Runs Go with the settings of these builds, at low priority.
 * @typedef {(args: string[], options?: object) => Promise<string>} Go
 * @param {import('./status.mjs').Report} report
 * @returns {Promise<Go>}
 */
export async function goCommand(report) {
  await needGo()
  // The user's GOFLAGS could have -mod=mod or -mod=vendor, and a go.work could add other modules.
  const env = {
    ...process.env,
    GOTOOLCHAIN: 'auto',
    GOFLAGS: '-mod=readonly -buildvcs=false',
    GOWORK: 'off',
    GO111MODULE: 'on',
    CGO_ENABLED: '0',
  }
  return (args, options = {}) =>
    runQuietly('nice', ['-n', '19', 'go', ...args], {
      env,
      ...options,
      onLine(line) {
        report.log(line)
        options.onLine?.(line)
      },
    })
}

/** Downloads a module. @returns the directory of its files in Go's cache */
export async function fetchModule(go, {module, version, report}) {
  report.set({state: 'fetching', doing: `fetching the Go module ${module} ${version}`})
  return JSON.parse(await go(['mod', 'download', '-json', `${module}@${version}`])).Dir
}

/** Go 1.21 is the first that downloads the toolchain that a module requires. */
async function needGo() {
  const version = await runQuietly('go', ['env', 'GOVERSION']).catch(() => undefined)
  const minor = Number(/^go1\.(\d+)/.exec(version ?? '')?.[1] ?? 0)
  if (minor < 21) throw new Error(`Go 1.21 or later is needed on PATH, found ${version?.trim() || 'none'}: install a current Go`)
}

/** The estimate uses only the pace of this last time: the first packages are small ones. */
const paceMs = 30_000

/** Counts steps and estimates how long the rest takes. */
function progress(report, doing, total) {
  let recent = [Date.now()]
  let done = 0
  report.set({doing, done, total, secondsLeft: undefined})
  return () => {
    const now = Date.now()
    done = Math.min(done + 1, total)
    recent = [...recent.filter(at => now - at < paceMs), now]
    const perStep = (now - recent[0]) / 1000 / (recent.length - 1)
    report.set({done, secondsLeft: recent.length < 10 || done === total ? undefined : Math.round(perStep * (total - done))})
  }
}
