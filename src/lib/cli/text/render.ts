/** Values as text for a terminal: tables and the few words that recur. */
import {renderAddresses} from '../../model/address.js'
import {encodeSettings} from '../../manifest/settings.js'
import {type Change, describe} from '../../model/change.js'
import type {Settings} from '../../model/settings.js'
import {type Cluster, renderPorts} from '../../model/cluster.js'

/** Columns two blanks apart; the last one is as wide as it likes. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => (row[column] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  return [head, ...rows].map(cells => line(cells)).join('\n')
}

/** What was done, in words, each thing once. */
export function described(changes: readonly Change[]): readonly string[] {
  return [...new Set(changes.map(change => describe(change)))]
}

/** What was done, a line each; the same words as in `--json`. */
export function renderChanges(changes: readonly Change[]): string {
  return described(changes)
    .map(line => `  ${line}`)
    .join('\n')
}

/** `key: before -> after` for each setting that differs, in the keys of ConfigMap `atlas-fleet`. */
export function renderSettingsDifference(before: Settings | undefined, after: Settings): string {
  const [from, to] = [before === undefined ? {} : encodeSettings(before), encodeSettings(after)]
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort()
  return keys
    .filter(key => from[key] !== to[key])
    .map(key => `  ${key}: ${from[key] ?? '(none)'} -> ${to[key] ?? '(none)'}`)
    .join('\n')
}

/** The fields of a registration in the words of `cluster add`'s flags. */
export function clusterFields(cluster: Cluster): Readonly<Record<string, string>> {
  const {thanos, prometheus, alertmanager} = cluster.services
  return {
    address: cluster.addresses.length === 0 ? '(pending)' : renderAddresses(cluster.addresses),
    port: cluster.ports.size === 0 ? '11901-11904' : renderPorts(cluster.ports),
    replicas: String(cluster.replicas),
    thanos: `${thanos.host}:${thanos.port}`,
    prometheus: `${prometheus.host}:${prometheus.port}`,
    alertmanager: `${alertmanager.host}:${alertmanager.port}`,
    group: cluster.groups.join(',') || '-',
  }
}

/** `field: before -> after` for each field that differs. */
export function renderDifference(before: Cluster, after: Cluster): string {
  const [from, to] = [clusterFields(before), clusterFields(after)]
  return Object.keys(to)
    .filter(key => from[key] !== to[key])
    .map(key => `  ${key}: ${from[key] ?? ''} -> ${to[key] ?? ''}`)
    .join('\n')
}
