/** A Prometheus for one cluster: scrapes itself, and sends its alerts to the Envoy of its cluster. */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {ProgramSpec, Running} from './lab/processes.js'
import {queryInstant} from './lab/query-api.js'
import type {DownstreamSite} from './lab/sites.js'
import type {DemoContext} from './context.js'
import {waitFor} from './lab/wait.js'

/** One Prometheus: the names in its external labels, and its addresses. */
export interface PrometheusPlace {
  readonly cluster: string
  readonly replica: number
  readonly listen: HostPort
  /** 10903 of its cluster's Envoy, which announces the Alertmanagers and takes the alerts. */
  readonly alerts: HostPort
}

/** The place of a cluster's first Prometheus. */
export function prometheusOf(cluster: string, {address, ports}: DownstreamSite): PrometheusPlace {
  const at = (port: number): HostPort => ({host: address, port})
  return {cluster, replica: 0, listen: at(ports.prometheus), alerts: at(ports.alerts)}
}

/** Starts a Prometheus. Its first sample takes about 6 s, so start it early. */
export async function startPrometheus(place: PrometheusPlace, program: string, context: DemoContext): Promise<Running> {
  return context.supervisor.start(await prometheusSpec(place, program, context.folder))
}

/** Waits for the first sample. */
export async function untilScraped({cluster, listen}: PrometheusPlace, signal: AbortSignal): Promise<void> {
  await waitFor(
    `the first sample in the Prometheus of ${cluster}`,
    async () => ((await queryInstant(listen, 'up')).length > 0 ? true : undefined),
    {signal, timeoutMs: 60_000},
  )
}

/** Writes the alert that the Prometheus has from its next reload on (SIGHUP): it fires at once, and always. */
export async function writeAlert(folder: string, place: PrometheusPlace, alert: string): Promise<void> {
  const rule = {alert, expr: 'vector(1)', labels: {severity: 'none'}, annotations: {summary: 'An alert of the demo, which always fires'}}
  await writeFile(rulesFile(folder, place), JSON.stringify({groups: [{name: 'demo', rules: [rule]}]}), {mode: 0o600})
}

function nameOf({cluster, replica}: PrometheusPlace): string {
  return replica === 0 ? `prometheus-${cluster}` : `prometheus-${cluster}-${replica}`
}

function dataOf(folder: string, place: PrometheusPlace): string {
  return path.join(folder, 'data', nameOf(place))
}

function rulesFile(folder: string, place: PrometheusPlace): string {
  return path.join(dataOf(folder, place), 'rules.yml')
}

async function prometheusSpec(place: PrometheusPlace, program: string, folder: string): Promise<ProgramSpec> {
  const data = dataOf(folder, place)
  await mkdir(data, {recursive: true, mode: 0o700})
  const config = path.join(data, 'prometheus.yml')
  await writeFile(config, prometheusConfig(place, rulesFile(folder, place)), {mode: 0o600})
  return {
    name: nameOf(place),
    program,
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${path.join(data, 'tsdb')}`,
      // A sidecar asks for equal block lengths, so that Prometheus does not compact behind its back.
      '--storage.tsdb.min-block-duration=2h',
      '--storage.tsdb.max-block-duration=2h',
      `--web.listen-address=${renderHostPort(place.listen)}`,
      // An alert that fires while the Alertmanagers are not known yet, as after a reload, is sent again after this time.
      '--rules.alert.resend-delay=2s',
      '--log.level=warn',
    ],
    cwd: data,
  }
}

/** JSON is YAML too. Its Envoy announces the Alertmanagers, each with the path of its alerts. */
function prometheusConfig({cluster, replica, listen, alerts}: PrometheusPlace, rules: string): string {
  const url = `http://${renderHostPort(alerts)}/sd/alertmanagers`
  const alertmanager = {
    http_sd_configs: [{url, refresh_interval: '2s'}],
    relabel_configs: [{source_labels: ['am_path'], target_label: '__alerts_path__'}],
  }
  const config = {
    global: {scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s', external_labels: {cluster, replica: `${replica}`}},
    scrape_configs: [{job_name: 'prometheus', static_configs: [{targets: [renderHostPort(listen)]}]}],
    rule_files: [rules],
    alerting: {alertmanagers: [alertmanager]},
  }
  return `${JSON.stringify(config, undefined, 2)}\n`
}
