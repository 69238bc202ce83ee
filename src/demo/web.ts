/** The part of the demo for people: web pages, alerts and a login proxy. Each proof is made as soon as its program is there. */
import type {HostPort} from '../lib/model/address.js'
import {startAlertmanager} from './alertmanager.js'
import {type FinderOptions, type Settled, awaitFirst, firstSettled, warnMissing} from './finder.js'
import {servePages} from './lab/page-stand-in.js'
import {startLoginProxy} from './login-proxy.js'
import {startPrometheuses} from './monitoring.js'
import {type Network, alertmanagerAddress, pagesAddress} from './network.js'
import type {Proof} from './proof.js'
import {alertArrives} from './proofs/alerts.js'
import {loginProxy} from './proofs/login.js'
import {alertmanagerPage, hasPages, prometheusPage} from './proofs/pages.js'
import {type Claims, inOrder} from './proofs/run-proofs.js'

export interface WebResult {
  readonly proofs: readonly Proof[]
  readonly leftOut: readonly string[]
  /** What runs now, for the closing screen. */
  readonly shown: ShownWeb
}

/** The web programs that run, beside the observability Envoy's own pages. */
export interface ShownWeb {
  readonly prometheusPages: boolean
  readonly alertmanager: boolean
  readonly login: HostPort | undefined
}

/** The proofs of this part; each is made once, when its program is there. */
export interface Web {
  /** Makes those whose programs are there, or are known to be missing. */
  proveWhatIsThere(): Promise<void>
  /** Waits for the programs of the others. */
  proveRest(): Promise<void>
  result(): WebResult
}

/** Nothing is started before a proof needs it. */
export function openWeb(network: Network, finder: FinderOptions): Web {
  const state: State = {network, shown: {prometheusPages: false, alertmanager: false, login: undefined}, proofs: [], leftOut: []}
  const left = new Set(Object.keys(stages) as Stage[])
  const proveStage = async ({name, state: program}: Settled<Stage>): Promise<void> => {
    left.delete(name)
    const {proofs, leftOut} = await stages[name](state, program.kind === 'found' ? program.path : undefined)
    state.proofs.push(...proofs)
    state.leftOut.push(...leftOut)
    // A Prometheus 3 is not missed where another Prometheus has pages.
    if (program.kind === 'missing' && leftOut.length > 0) warnMissing(name, program.why, network.context.screen)
  }
  return {
    async proveWhatIsThere() {
      for (let next = await firstSettled([...left], finder); next !== undefined; next = await firstSettled([...left], finder))
        await proveStage(next)
    },
    async proveRest() {
      for (let [first, ...rest] = left; first !== undefined; [first, ...rest] = left)
        await proveStage(await awaitFirst([first, ...rest], finder))
    },
    result: () => state,
  }
}

interface State {
  readonly network: Network
  readonly proofs: Proof[]
  readonly leftOut: string[]
  shown: ShownWeb
}

type Stage = 'alertmanager' | 'oauth2-proxy' | 'prometheus-3'
type Outcome = Pick<WebResult, 'leftOut' | 'proofs'>

/** By the program that each waits for, in the order in which they are made where all are there. */
const stages: Readonly<Record<Stage, (state: State, path: string | undefined) => Promise<Outcome>>> = {
  'prometheus-3': provePrometheus,
  alertmanager: proveAlertmanager,
  'oauth2-proxy': proveLogin,
}

/** Without a Prometheus 3 the page is that of the Prometheus that runs, if it has one; without any Prometheus that of a stand-in. */
async function provePrometheus(state: State, path: string | undefined): Promise<Outcome> {
  const {network} = state
  const [first] = network.members
  if (path !== undefined) await startPrometheuses(network, path)
  if (network.prometheuses.size === 0) return proveStandIns(network)
  const isThere = first !== undefined && (await hasPages(network, first))
  if (!isThere) return {proofs: [], leftOut: ['prometheus-page']}
  state.shown = {...state.shown, prometheusPages: true}
  return prove(network, [['prometheus-page', async () => prometheusPage(network, 'the Prometheus pages')]])
}

/** The stand-ins end with the proof: a Prometheus may come for their ports. */
async function proveStandIns(network: Network): Promise<Outcome> {
  const {members} = network
  const standIns = await Promise.all(
    members.map(async ({name, site}) => servePages({host: site.address, port: site.ports.prometheus}, name)),
  )
  try {
    return await prove(network, [['prometheus-page', async () => prometheusPage(network, 'stand-ins for the Prometheus pages')]])
  } finally {
    await Promise.all(standIns.map(async standIn => standIn.close()))
  }
}

async function proveAlertmanager(state: State, path: string | undefined): Promise<Outcome> {
  const {network} = state
  const {context} = network
  const [first] = network.members
  if (path === undefined || first === undefined) return {proofs: [], leftOut: ['alertmanager-page', 'alert-arrives']}
  context.screen.step(`An Alertmanager in the observability cluster, and one in ${first.name}`)
  await startAlertmanager('observability', alertmanagerAddress(context), path, context)
  await startAlertmanager(first.name, {host: first.site.address, port: first.site.ports.alertmanager}, path, context)
  state.shown = {...state.shown, alertmanager: true}
  const page = ['alertmanager-page', async () => alertmanagerPage(network, first)] as const
  if (network.prometheuses.size === 0) return {...(await prove(network, [page])), leftOut: ['alert-arrives']}
  return prove(network, [page, ['alert-arrives', async () => alertArrives(network)]])
}

async function proveLogin(state: State, path: string | undefined): Promise<Outcome> {
  const {network, shown} = state
  if (path === undefined) return {proofs: [], leftOut: ['login-proxy']}
  network.context.screen.step('A login proxy in front of the web pages')
  const login = await startLoginProxy(pagesAddress(network.context), path, network.context)
  state.shown = {...shown, login}
  return prove(network, [['login-proxy', async () => loginProxy(network, login, {alerts: shown.alertmanager})]])
}

async function prove(network: Network, claims: Claims): Promise<Outcome> {
  return {proofs: await inOrder(network, claims), leftOut: []}
}
