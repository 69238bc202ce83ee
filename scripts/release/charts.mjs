/** Packages the charts with Helm, from copies whose files all have one date, since Helm keeps the dates of files. */
import {cpSync, existsSync, readdirSync, readFileSync, utimesSync} from 'node:fs'
import {join} from 'node:path'
import {load} from 'js-yaml'
import {runQuietly} from '../setup/child.mjs'

/**
 * Leaves `<name>-<version>.tgz` of every chart in `target`.
 * @param {string} target
 * @param {{root: string, helm: string, version: string, epoch: number, work: string}} from `version` is the package's, which is each chart's too;
 *   `epoch` in seconds since 1970; `work` is an empty directory
 * @throws {Error} when a chart has another version, or Helm refuses it
 */
export async function packageCharts(target, {root, helm, version, epoch, work}) {
  for (const name of chartsOf(root)) {
    checkVersions(root, name, version)
    const copy = join(work, name)
    cpSync(join(root, 'charts', name), copy, {recursive: true})
    for (const path of ['.', ...readdirSync(copy, {recursive: true})]) utimesSync(join(copy, path), epoch, epoch)
    await runQuietly(helm, ['package', copy, '--destination', target], {env: {...process.env, SOURCE_DATE_EPOCH: String(epoch)}})
  }
}

/** @param {string} root */
export function chartsOf(root) {
  const charts = join(root, 'charts')
  return readdirSync(charts)
    .filter(name => existsSync(join(charts, name, 'Chart.yaml')))
    .sort()
}

/** The chart's default image has its appVersion, and `cluster values` writes values for the chart of its own version. */
function checkVersions(root, name, version) {
  const chart = load(readFileSync(join(root, 'charts', name, 'Chart.yaml'), 'utf8'))
  for (const key of ['version', 'appVersion']) {
    if (chart[key] !== version)
      throw new Error(`charts/${name}/Chart.yaml has ${key} ${chart[key]}, and package.json has ${version}: set both to one version`)
  }
}
