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

/** Installs the CRDs and starts it for one namespace. @returns ends it */
export async function startCertManager(kubernetes: Kubernetes, namespace: string): Promise<() => Promise<void>> {
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
  const waited = await kubernetes.kubectl(['wait', '--for=condition=Established', '--timeout=30s', ...names])
  if (waited.code !== 0) throw new Error(waited.stderr)
  const child = spawn(
    program('cert-manager'),
    [
      `--kubeconfig=${kubernetes.kubeconfig}`,
      `--namespace=${namespace}`,
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
