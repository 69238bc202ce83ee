/**
 * Builds Prometheus 3 with its web pages inside: Go's module cache has only the pages' sources. go.mjs compiles, npm builds the pages.
 * Follows `web/ui/build_ui.sh` and `scripts/compress_assets.sh` of Prometheus.
 */
import {mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {gzipSync} from 'node:zlib'
import {runQuietly} from '../setup/child.mjs'
import {npmCommand, npmFlags} from '../setup/npm.mjs'
import {compile, fetchModule, goCommand} from './go.mjs'

/**
 * @param {{module: string, version: string, main: string, ldflags: string, tags: string, modules: number}} source
 * @param {{directory: string, binary: string, report: import('./status.mjs').Report}} target
 */
export async function buildPrometheus({module, version, ...how}, {directory, binary, report}) {
  const go = await goCommand(report)
  const work = join(directory, 'source')
  await runQuietly('cp', ['-R', await fetchModule(go, {module, version, report}), work])
  // Files in Go's cache are read-only.
  await runQuietly('chmod', ['-R', 'u+w', work])
  await buildPages(join(work, 'web', 'ui'), report)
  await compile(go, {...how, module, cwd: work}, {binary, report})
  rmSync(work, {recursive: true})
}

async function buildPages(ui, report) {
  report.set({state: 'building', doing: 'building the web pages: fetching npm packages'})
  const npm = async (...args) => {
    const [command, ...first] = npmCommand()
    await runQuietly('nice', ['-n', '19', command, ...first, ...args], {cwd: ui, onLine: report.log})
  }
  await npm('ci', ...npmFlags)
  report.set({doing: 'building the web pages'})
  await npm('run', 'build', '-w', 'module/lezer-promql', '-w', 'module/codemirror-promql')
  // Its `build` also checks all types, which takes half as long again.
  await npm('exec', '-w', 'mantine-ui', '--offline', '--', 'vite', 'build')
  mkdirSync(join(ui, 'static'))
  renameSync(join(ui, 'mantine-ui', 'dist'), join(ui, 'static', 'mantine-ui'))
  embed(ui)
}

/** Compresses all files in `static` and names them in `embed.go`, which the build tag `builtinassets` compiles. */
function embed(ui) {
  const files = readdirSync(join(ui, 'static'), {recursive: true, withFileTypes: true}).filter(entry => entry.isFile())
  const lines = files.map(({parentPath, name}) => {
    const file = join(parentPath, name)
    writeFileSync(`${file}.gz`, gzipSync(readFileSync(file)))
    return `//go:embed ${file.slice(ui.length + 1)}.gz`
  })
  const template = readFileSync(join(ui, 'embed.go.tmpl'), 'utf8')
  writeFileSync(join(ui, 'embed.go'), [template, ...lines, 'var EmbedFS embed.FS', ''].join('\n'))
}
