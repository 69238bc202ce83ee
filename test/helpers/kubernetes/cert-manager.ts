/** A real cert-manager controller with its own CRDs, as a process. Without its webhook, which only fills in and refuses. */
import {type ChildProcess, spawn} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {loadAll} from 'js-yaml'
import type {Kubernetes} from './kubernetes.js'
import {program} from './programs.js'

const CONTROLLERS = [
  'issuers',
  ...['key-manager', 'issuing', 'readiness', 'request-manager', 'revision-manager', 'trigger'].map(name => `certificates-${name}`),
  ...['approver', 'issuer-selfsigned', 'issuer-ca'].map(name => `certificaterequests-${name}`),
]

/** How a root is asked of cert-manager. */
export interface AskedRoot {
  /** The Issuer: a CA, or the certificate signs itself. */
  readonly issuer: 'company' | 'itself'
  readonly rotationPolicy: 'Always' | 'Never'
  readonly algorithm: 'ECDSA' | 'RSA'
  /** Bits. */
  readonly size: number
}

/** Both kinds of Issuer with each policy, and several kinds of key. */
export const askedRoots: readonly AskedRoot[] = [
  {issuer: 'company', rotationPolicy: 'Always', algorithm: 'ECDSA', size: 384},
  {issuer: 'company', rotationPolicy: 'Never', algorithm: 'RSA', size: 2048},
  {issuer: 'itself', rotationPolicy: 'Always', algorithm: 'RSA', size: 2048},
  {issuer: 'itself', rotationPolicy: 'Never', algorithm: 'ECDSA', size: 256},
  {issuer: 'company', rotationPolicy: 'Always', algorithm: 'ECDSA', size: 521},
  {issuer: 'itself', rotationPolicy: 'Never', algorithm: 'RSA', size: 4096},
]

export function describeAsked({issuer, rotationPolicy, algorithm, size}: AskedRoot): string {
  return `signed by ${issuer}, rotationPolicy ${rotationPolicy}, ${algorithm} ${size}`
}

/** The Secret that Certificate `authority` of `certificateObjects` is kept in. */
export const AUTHORITY_SECRET = 'atlas-authority'

const YEARS = '87600h'

/** The Issuers, and Certificate `authority`, whose Secret Atlas watches; for `kubectl apply`. */
export function certificateObjects({issuer, rotationPolicy, algorithm, size}: AskedRoot): string {
  const object = (kind: string, name: string, spec: object): object => ({apiVersion: 'cert-manager.io/v1', kind, metadata: {name}, spec})
  const ca = {isCA: true, duration: YEARS}
  const items = [
    object('Issuer', 'itself', {selfSigned: {}}),
    object('Certificate', 'company', {
      ...ca,
      privateKey: {algorithm: 'ECDSA', size: 256},
      commonName: 'Company',
      secretName: 'company',
      issuerRef: {name: 'itself'},
    }),
    object('Issuer', 'company', {ca: {secretName: 'company'}}),
    object('Certificate', 'authority', {
      ...ca,
      privateKey: {algorithm, size, rotationPolicy},
      commonName: 'Atlas',
      secretName: AUTHORITY_SECRET,
      secretTemplate: {labels: {'goatlas.io/authority': 'root'}},
      issuerRef: {name: issuer},
    }),
  ]
  return JSON.stringify({apiVersion: 'v1', kind: 'List', items})
}

/** For `kubectl patch --type=merge` of Certificate `authority`: it is renewed this many seconds after each issue. */
export function renewedAfter(seconds: number): string {
  return JSON.stringify({spec: {renewBefore: `${87_600 * 3600 - seconds}s`}})
}

/** For `kubectl patch --type=merge` of Certificate `authority`: it is issued again, and lives so long; its Secret has the annotation by which Atlas takes a short life. */
export function livingFor(hours: number, {anyAge}: {readonly anyAge: boolean}): string {
  const annotations = {'goatlas.io/any-age': anyAge ? 'true' : null}
  return JSON.stringify({spec: {duration: `${hours}h`, secretTemplate: {annotations}}})
}

/** Arguments of kubectl that have a Certificate renewed once, at once, as `cmctl renew` does. */
export function renewNow(now: Date, name = 'authority'): readonly string[] {
  const lastTransitionTime = `${now.toISOString().slice(0, 19)}Z`
  const condition = {type: 'Issuing', status: 'True', reason: 'ManuallyTriggered', message: 'renewed by hand', lastTransitionTime}
  const add = [{op: 'add', path: '/status/conditions/-', value: condition}]
  return ['patch', 'certificate', name, '--subresource=status', '--type=json', '-p', JSON.stringify(add)]
}

/** Installs the CRDs and starts it for all namespaces. @returns ends it */
export async function startCertManager(kubernetes: Kubernetes): Promise<() => Promise<void>> {
  const crds = readFileSync(program('cert-manager-crds'), 'utf8')
  const input = crds
    .split('\n')
    .filter(line => !line.includes('{{'))
    .join('\n')
  for (const text of [input, JSON.stringify(clusterIssuers(input))]) {
    const applied = await kubernetes.kubectl(['apply', '--server-side', '-f', '-'], {input: text})
    if (applied.code !== 0) throw new Error(applied.stderr)
  }

  const names = ['certificaterequests', 'certificates', 'issuers', 'clusterissuers'].map(kind => `crd/${kind}.cert-manager.io`)
  const waited = await kubernetes.kubectl(['wait', '--for=condition=Established', '--timeout=55s', ...names])
  if (waited.code !== 0) throw new Error(waited.stderr)
  const child = spawn(
    program('cert-manager'),
    [
      `--kubeconfig=${kubernetes.kubeconfig}`,
      '--leader-elect=false',
      '--metrics-listen-address=127.0.0.1:0',
      `--controllers=${CONTROLLERS.join(',')}`,
    ],
    {stdio: ['ignore', 'ignore', 'pipe']},
  )
  let log = ''
  child.stderr.on('data', chunk => (log = (log + String(chunk)).slice(-20_000)))
  return async () => end(child, () => log)
}

interface Definition {
  readonly metadata: {readonly name: string}
  readonly spec: object
}

/** The controller waits for objects of this kind, too, even where it works for one namespace: like an Issuer, but of the whole cluster. */
function clusterIssuers(crds: string): object {
  const issuers = (loadAll(crds) as readonly (Definition | null)[]).find(each => each?.metadata.name === 'issuers.cert-manager.io')
  if (issuers === undefined || issuers === null) throw new Error('the CRDs have no Issuer')
  const names = {kind: 'ClusterIssuer', listKind: 'ClusterIssuerList', plural: 'clusterissuers', singular: 'clusterissuer'}
  return {...issuers, metadata: {name: 'clusterissuers.cert-manager.io'}, spec: {...issuers.spec, names, scope: 'Cluster'}}
}

async function end(child: ChildProcess, log: () => string): Promise<void> {
  if (child.exitCode !== null) throw new Error(`cert-manager ended by itself: ${log()}`)
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill()
  await ended
}
