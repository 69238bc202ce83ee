/** Fleets of any size to measure with, and a writer that changes them. */
import {parseAddress} from '../src/lib/model/address.js'
import type {Change} from '../src/lib/model/change.js'
import type {Cluster} from '../src/lib/model/cluster.js'
import type {Fleet} from '../src/lib/model/fleet.js'
import {parseClusterName} from '../src/lib/model/names.js'
import {targetsOf} from '../src/lib/model/stack.js'
import {type Choices, init} from '../src/lib/ops/init.js'
import {reconcile} from '../src/lib/ops/reconcile.js'
import type {OpsDependencies} from '../src/lib/ops/dependencies.js'
import {cryptoSigner} from '../src/lib/pki/signer.js'
import type {StateStore} from '../src/lib/store/store.js'

export const dependencies: OpsDependencies = {now: () => new Date(), signer: cryptoSigner}

/** Fills a store with `count` clusters of two replicas each, all certificates issued. */
export async function fill(store: StateStore, count: number, choices: Choices = {addresses: [parseAddress('127.0.0.1')]}): Promise<Fleet> {
  await init(store, choices, dependencies)
  const registrations = Array.from({length: count}, (_, index) => registration(index, 1))
  await store.commit(await store.load(), registrations)
  return reconcile(store, dependencies)
}

/** Commits one change after the other, each on the result of the one before. */
export type Writer = (change: Change) => Promise<void>

export function openWriter(store: StateStore, first: Fleet): Writer {
  let fleet = first
  return async change => {
    fleet = await store.commit(fleet, [change])
  }
}

export function registration(index: number, last: number): Change {
  const name = parseClusterName(`c${index}`)
  const value: Cluster = {
    name,
    addresses: [parseAddress(`10.${Math.floor(index / 250)}.${index % 250}.${last}`)],
    ports: new Map(),
    replicas: 2,
    services: targetsOf({name: 'kube-prometheus', release: '', namespace: 'monitoring'}),
    groups: [],
  }
  return {kind: 'registration', name, value}
}
