/**
 * How much heap an observability Envoy needs. From 95 % of its limit on it refuses requests, and the streams of clusters that connect
 * later: its bootstrap says what the limit is, and `atlas status` compares (docs/explanation/envoy.md#memory).
 */
import {type Fleet, clustersOf} from './fleet.js'
import {defaultSettings, showsPages} from './settings.js'

/** The limit of an Envoy for which none was chosen, bytes: enough for some 4,000 clusters. */
export const DEFAULT_MAX_HEAP = 1024 ** 3

/** The share of the limit that an Envoy may need: it shrinks its heap from 90 % on, and refuses requests from 95 % on. */
const USABLE = 0.9

/** Measured with two workers and one Envoy connected for each cluster (bench/README.md), bytes. */
const measured = {empty: 90 * 1024 ** 2, cluster: 200 * 1024, pages: 195 * 1024} as const

/** Bytes that the observability Envoy needs with all registered clusters connected. */
export function heapNeeded(fleet: Fleet): number {
  const pages = showsPages(fleet.settings ?? defaultSettings) ? measured.pages : 0
  return measured.empty + clustersOf(fleet).length * (measured.cluster + pages)
}

/** Whether a limit of `maxHeapBytes` leaves room for `needed`. */
export function isHeapEnough(needed: number, maxHeapBytes: number): boolean {
  return needed <= USABLE * maxHeapBytes
}
