/** Fleets of any size to measure with, and a writer that changes them. */
import {parseAddress} from '../src/lib/model/address.js'
import type {Change} from '../src/lib/model/change.js'
import type {Cluster} from '../src/lib/model/cluster.js'
import type {Fleet} from '../src/lib/model/fleet.js'
import {parseClusterName} from '../src/lib/model/names.js'
import {defaultPages} from '../src/lib/model/page.js'
import {parseStack, targetsOf} from '../src/lib/model/stack.js'
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

/** At addresses of this machine where nothing listens, since a real Envoy connects to them; `last` is from 1 to 254. */
export function registration(index: number, last: number): Change {
  const name = parseClusterName(`c${index}`)
  const value: Cluster = {
    name,
    addresses: [parseAddress(`127.${last}.${Math.floor(index / 250)}.${index % 250}`)],
    ports: new Map(),
    replicas: 2,
    services: targetsOf(parseStack('kube-prometheus', {namespace: 'monitoring'})),
    thanosHealth: 'grpc',
    targets: new Map(),
    pages: defaultPages,
    groups: [],
  }
  return {kind: 'registration', name, value}
}
