/** Starts the real programs behind web pages: Prometheus 2 and 3, and Alertmanager, with whatever flags a test gives them. */
import {createHash, randomBytes} from 'node:crypto'
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {programNamed} from '../../../scripts/programs/catalogue.mjs'
import {findProgram} from '../../../scripts/programs/find.mjs'
import type {ProgramSpec, Running} from '../../../src/demo/lab/processes.js'
import {type HostPort, renderHostPort} from '../../../src/lib/model/address.js'
import {untilAnswers} from '../../e2e/scene.js'

export interface Ground {
  readonly folder: string
  readonly crashed: AbortSignal
  startProcess(spec: ProgramSpec): Promise<Running>
}

export interface PrometheusOptions {
  /** The name of its process and its data, and its external label `prometheus`. */
  readonly name: string
  readonly listen: HostPort
  readonly version: 2 | 3
  readonly flags?: readonly string[]
  /** Where it answers, of `--web.route-prefix`; with a slash at the end. */
  readonly at?: string
  /** Where it sends alerts. */
  readonly alertmanager?: HostPort
  /** Where it sends alerts, as its configuration has it (`alerting.alertmanagers`), instead. */
  readonly alertmanagers?: readonly object[]
}

/** What every Prometheus of these tests has: an alert that fires at once, and a recording rule. */
export const ALERT = 'Watchdog'
export const RECORDED = 'instance:up:sum'

/** Everything that can change or stop it is switched on, so that a refusal is Envoy's. */
const dangerous = ['--web.enable-lifecycle', '--web.enable-admin-api', '--web.enable-remote-write-receiver']

/** Starts a Prometheus that scrapes itself, and waits until it answers. */
export async function startPrometheus(ground: Ground, options: PrometheusOptions): Promise<Running> {
  const {name, listen, version, flags = [], at = '/'} = options
  const data = path.join(ground.folder, 'data', name)
  await mkdir(data, {recursive: true})
  await writeFile(path.join(data, 'rules.json'), JSON.stringify(rules))
  await writeFile(path.join(data, 'prometheus.json'), JSON.stringify(configOf(options)))
  const running = await ground.startProcess({
    name,
    program: programAt(version === 3 ? 'prometheus-3' : 'prometheus'),
    args: [
      `--config.file=${path.join(data, 'prometheus.json')}`,
      `--storage.tsdb.path=${path.join(data, 'tsdb')}`,
      `--web.listen-address=${renderHostPort(listen)}`,
      ...dangerous,
      ...(version === 3 ? ['--web.enable-otlp-receiver'] : []),
      ...flags,
    ],
    cwd: data,
  })
  await untilAnswers(listen, `${at}-/ready`, ground.crashed)
  return running
}

export interface AlertmanagerOptions {
  readonly name: string
  readonly listen: HostPort
  readonly flags?: readonly string[]
  readonly at?: string
  /** Its configuration; without, it sends no notification. */
  readonly config?: object
  /** Where it gossips, and with which peers; without, it is on its own. */
  readonly gossip?: {readonly listen: HostPort; readonly peers: readonly HostPort[]}
}

const notifiesNone = {route: {receiver: 'nobody'}, receivers: [{name: 'nobody'}]}

/** Starts an Alertmanager, and waits until it answers. */
export async function startAlertmanager(ground: Ground, options: AlertmanagerOptions): Promise<Running> {
  const {name, listen, flags = [], at = '/', config = notifiesNone, gossip} = options
  const data = path.join(ground.folder, 'data', name)
  await mkdir(data, {recursive: true})
  await writeFile(path.join(data, 'alertmanager.json'), JSON.stringify(config))
  const running = await ground.startProcess({
    name,
    program: programAt('alertmanager'),
    args: [
      `--config.file=${path.join(data, 'alertmanager.json')}`,
      `--storage.path=${path.join(data, 'state')}`,
      `--web.listen-address=${renderHostPort(listen)}`,
      `--cluster.listen-address=${gossip === undefined ? '' : renderHostPort(gossip.listen)}`,
      ...(gossip?.peers ?? []).map(peer => `--cluster.peer=${renderHostPort(peer)}`),
      ...flags,
    ],
    cwd: data,
  })
  await untilAnswers(listen, `${at}-/ready`, ground.crashed)
  return running
}

/** Tells a Thanos program that its pages learn their prefix from the header that Envoy sets. */
const PREFIX_HEADER = '--web.prefix-header=X-Forwarded-Prefix'

/** Starts a Thanos Query without endpoints. */
export async function startThanosQuery(ground: Ground, name: string, listen: HostPort, flags: readonly string[] = []): Promise<Running> {
  const running = await ground.startProcess({
    name,
    program: programAt('thanos'),
    args: [
      'query',
      `--http-address=${renderHostPort(listen)}`,
      `--grpc-address=${renderHostPort({...listen, port: listen.port - 1})}`,
      PREFIX_HEADER,
      '--log.level=warn',
      ...flags,
    ],
  })
  await untilAnswers(listen, '/-/ready', ground.crashed)
  return running
}

export const VISITOR = {name: 'kim', password: 'a password'}

/** Starts an oauth2-proxy whose login is a form for `VISITOR`; as by default it passes on who has logged in. */
export async function startLoginProxy(ground: Ground, listen: HostPort, upstream: HostPort): Promise<Running> {
  const file = path.join(ground.folder, 'htpasswd')
  const hash = createHash('sha1').update(VISITOR.password).digest('base64')
  await writeFile(file, `${VISITOR.name}:{SHA}${hash}\n`)
  const running = await ground.startProcess({
    name: 'oauth2-proxy',
    program: programAt('oauth2-proxy'),
    args: [
      `--http-address=${renderHostPort(listen)}`,
      `--upstream=http://${renderHostPort(upstream)}/`,
      `--htpasswd-file=${file}`,
      `--cookie-secret=${randomBytes(16).toString('hex')}`,
      '--cookie-secure=false',
      '--email-domain=*',
      // No request goes to this provider: the form logs in.
      ...['--provider=github', '--client-id=none', '--client-secret=none'],
      '--pass-access-token',
      '--pass-authorization-header',
    ],
  })
  await untilAnswers(listen, '/ping', ground.crashed)
  return running
}

export interface RulerOptions {
  readonly name: string
  readonly listen: HostPort
  /** The Prometheus or Thanos Query whose samples it judges. */
  readonly query: HostPort
  /** `--alertmanagers.config`; without, it sends no alert. */
  readonly alertmanagers?: object
  readonly flags?: readonly string[]
}

/** Starts a Thanos Ruler with the same rules as every Prometheus of these tests, and waits until it answers. */
export async function startThanosRule(ground: Ground, options: RulerOptions): Promise<Running> {
  const {name, listen, query, alertmanagers = {alertmanagers: []}, flags = []} = options
  const data = path.join(ground.folder, 'data', name)
  await mkdir(data, {recursive: true})
  await writeFile(path.join(data, 'rules.json'), JSON.stringify(rules))
  const running = await ground.startProcess({
    name,
    program: programAt('thanos'),
    args: [
      'rule',
      `--http-address=${renderHostPort(listen)}`,
      `--grpc-address=${renderHostPort({...listen, port: listen.port - 1})}`,
      `--data-dir=${path.join(data, 'tsdb')}`,
      `--rule-file=${path.join(data, 'rules.json')}`,
      '--eval-interval=1s',
      '--resend-delay=1s',
      `--query=http://${renderHostPort(query)}`,
      `--label=prometheus="${name}"`,
      `--alertmanagers.config=${JSON.stringify(alertmanagers)}`,
      PREFIX_HEADER,
      '--log.level=warn',
      ...flags,
    ],
    cwd: data,
  })
  await untilAnswers(listen, '/-/ready', ground.crashed)
  return running
}

/** @throws Error where this machine has no such program */
export function programAt(name: string): string {
  const found = findProgram(programNamed(name))
  if (found === undefined) throw new Error(`there is no ${name} here: "node scripts/launch.mjs programs ensure ${name}" brings one`)
  return found
}

const rules = {
  groups: [
    {
      name: 'pages',
      interval: '1s',
      rules: [
        {alert: ALERT, expr: 'vector(1)', labels: {severity: 'none'}, annotations: {summary: 'always fires'}},
        {record: RECORDED, expr: 'sum by (instance) (up)'},
      ],
    },
  ],
}

function configOf({name, listen, alertmanager, ...options}: PrometheusOptions): object {
  const one = alertmanager === undefined ? [] : [{static_configs: [{targets: [renderHostPort(alertmanager)]}]}]
  const alertmanagers = options.alertmanagers ?? one
  return {
    global: {scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s', external_labels: {prometheus: name}},
    rule_files: ['rules.json'],
    alerting: {alertmanagers},
    scrape_configs: [{job_name: 'itself', static_configs: [{targets: [renderHostPort(listen)]}]}],
  }
}
