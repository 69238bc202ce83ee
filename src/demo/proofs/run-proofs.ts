/** Runs the proofs in order: first those that need only Envoy, then those on the whole network. */
import type {HostPort} from '../../lib/model/address.js'
import {OBSERVABILITY} from '../../lib/model/names.js'
import {type Member, type Network, startStandIn, stopMember} from '../network.js'
import {Disproof, type Proof, runProof} from '../proof.js'
import {type Newcomer, addWhileRunning} from './add.js'
import {envoyPath, thanosQuery} from './paths.js'
import {adsWrongNodeRefused, foreignCertificateRefused, noCertificateRefused, otherClusterRefused} from './refusals.js'
import {type Ways, clusterRevoked, removeCutsOff, waysOf} from './remove.js'
import {replicaDies} from './replica.js'
import {rotateUnderLoad, serverKilled} from './rotate.js'
import {type MonitoringPrograms, sitesByCluster, sidecarAt} from '../monitoring.js'

/** @param thief the cluster whose keys count as stolen */
export async function proveWithEnvoyAlone(network: Network, thief: string): Promise<readonly Proof[]> {
  const victim = network.members[0]?.name ?? OBSERVABILITY
  return inOrder(network, [
    ['envoy-path', async () => envoyPath(network)],
    ['no-certificate-refused', async () => noCertificateRefused(network)],
    ['foreign-certificate-refused', async () => foreignCertificateRefused(network)],
    ['other-cluster-refused', async () => otherClusterRefused(network, thief)],
    ['ads-wrong-node-refused', async () => adsWrongNodeRefused(network, thief, victim)],
  ])
}

export interface Monitoring {
  /** The address of Thanos Query; undefined where it does not run. */
  readonly query: HostPort | undefined
  readonly programs: MonitoringPrograms | undefined
}

/** Changes the running network under load; the load includes PromQL where Thanos runs. */
export async function proveWithMonitoring(network: Network, {query, programs}: Monitoring): Promise<readonly Proof[]> {
  const first = query === undefined ? [] : await inOrder(network, [['thanos-query', async () => thanosQuery(network, query)]])
  const newcomer = await prepareNewcomer(network, programs)
  const [member] = network.members
  const changes = await inOrder(network, [
    ['add-while-running', async () => addWhileRunning(network, newcomer, query)],
    ['rotate-under-load', async () => rotateUnderLoad(network, query)],
    ['server-killed-under-load', async () => serverKilled(network, query)],
    ...(member === undefined ? [] : [['replica-dies', async () => replicaDies(network, member, {query, programs})] as const]),
  ])
  return [...first, ...changes, ...(await proveRemoval(network, newcomer, query))]
}

export type Claims = readonly (readonly [name: string, prove: () => Promise<string>])[]

/** Runs proofs one after the other, and shows each. */
export async function inOrder({context}: Network, claims: Claims): Promise<readonly Proof[]> {
  const proofs: Proof[] = []
  for (const [name, prove] of claims) {
    const proof = await runProof(name, prove, context.signal)
    context.screen.proof(proof)
    proofs.push(proof)
  }

  return proofs
}

/** Starts the backend of the cluster that is added later, before it is registered. */
async function prepareNewcomer(network: Network, programs: MonitoringPrograms | undefined): Promise<Newcomer> {
  const place = sitesByCluster(network.context.sites).at(-1)
  if (place === undefined) throw new Error('no address was kept for the cluster that is added')
  const backend = programs === undefined ? await startStandIn(place.name, place.site) : await sidecarAt(network, place, programs)
  return {...place, backend}
}

/** Removes the cluster that was added, and stops its programs only after the proofs that they are cut off. */
async function proveRemoval(network: Network, {name}: Newcomer, query: HostPort | undefined): Promise<readonly Proof[]> {
  const member = network.members.find(each => each.name === name)
  let before: Ways | undefined
  const present = (): Member => {
    if (member === undefined) throw new Disproof(`${name} was never added`)
    return member
  }
  try {
    return await inOrder(network, [
      [
        'remove-cuts-off',
        async () => {
          before = await waysOf(network, present())
          return removeCutsOff(network, present(), query)
        },
      ],
      ['cluster-revoked', async () => clusterRevoked(network, present(), before ?? {alert: 0, page: 0})],
    ])
  } finally {
    if (member !== undefined) await stopMember(network, member)
  }
}
