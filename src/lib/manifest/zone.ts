/**
 * The DNS zone `atlas.` for CoreDNS's `file` plugin: under `_thanos._tcp.sidecars.thanos.atlas.` every replica of every cluster that
 * has an address, for Thanos Query's `dnssrvnoa+`, and under `_thanos._tcp.<group>.thanos.atlas.` those of a group. Names and record
 * format are those of the 2021 program.
 */
import type {Cluster} from '../model/cluster.js'
import {type Fleet, clustersOf, isBroken, isRevoked} from '../model/fleet.js'
import {type ClusterName, SIDECAR_SEPARATOR, objectKey, objectNames, zoneName} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {thanosEndpointsOf} from '../model/thanos-target.js'
import {byGroup, clusterText} from './cluster-text.js'
import {zonePortNames} from './goatlas.js'
import {whyNameTooLong} from './text-limits.js'

/**
 * The zone as text: byte-stable, sorted, and `previous` itself where nothing differs and its serial is not below `servedSerial`. CoreDNS
 * reloads a zone only when its serial changes, so every text that differs has a higher serial: `max(previous + 1, now)`, where `previous` is
 * also `servedSerial`.
 *
 * Records of a cluster whose registration can't be read, and never could, stay as they are in `previous`: unknown is not removed. A name
 * whose answer would be too long (text-limits.ts) keeps its records, too; where another program wrote `previous`, the zone stays then.
 * @param previous the text in force, of any origin: the 2021 program's, a chart's, an earlier one of this function
 * @param servedSerial the highest serial that the zone is known to have had, before it was deleted or put back to an earlier text
 */
export function renderZone(fleet: Fleet, previous: string | undefined, now: Date, servedSerial?: number): string {
  const {settings} = fleet
  if (settings === undefined) return previous ?? ''
  const names = zoneNames(fleet, settings, previous)
  const isTooLong = names.some(({records: of}) => whyNameTooLong(of) !== undefined)
  if (isTooLong && previous !== undefined && !HEAD.test(previous)) return previous
  const records = names
    .map(({name, records: of}) => (whyNameTooLong(of) === undefined ? of : recordsAt(name, previous ?? '')))
    .filter(of => of !== '')
    .join('\n')
  const serial = previous === undefined ? undefined : serialIn(previous)
  const isBehind = serial !== undefined && servedSerial !== undefined && serial < servedSerial && servedSerial < SERIAL_MAX
  if (previous !== undefined && serial !== undefined && !isBehind && isZoneOf(previous, headOf(settings, serial), records)) return previous
  return textOf(settings, nextSerial([serial, servedSerial], now), records)
}

/** A name in the zone. */
export interface ZoneName {
  readonly name: string
  /** What answers Thanos Query, a line each: the same string for as long as they are equal, as a rule. */
  readonly records: string
}

/** The names of the zone with their records, however many: that of every cluster, then those of the groups. */
export function zoneNames(fleet: Fleet, settings: Settings, previous: string | undefined): readonly ZoneName[] {
  const held = heldRecords(fleet, previous ?? '')
  return [undefined, ...settings.groups].map(group => {
    const name = zoneName(group)
    const served = servedRecords(group)(fleet, settings)
    const kept = held.filter(record => isAt(record, name))
    return {name, records: kept.length === 0 ? served : [...new Set([...linesOf(served), ...kept])].sort().join('\n')}
  })
}

function recordsAt(name: string, zone: string): string {
  return linesOf(zone)
    .filter(line => isAt(line, name))
    .join('\n')
}

/** Whether a record is at `_<port>._tcp.<name>`. */
function isAt(record: string, name: string): boolean {
  return record.startsWith(`._tcp.${name} `, record.indexOf('.'))
}

/** Whether `zone` is this text: compared in its parts, since both are large and each pass of the reconciler asks. */
function isZoneOf(zone: string, head: string, records: string): boolean {
  const tail = records === '' ? '' : '\n'
  return (
    zone.length === head.length + records.length + tail.length &&
    zone.startsWith(head) &&
    zone.startsWith(records, head.length) &&
    zone.endsWith(tail)
  )
}

/** The serial of the first SOA record; undefined: there is none. Comments, brackets and line breaks are allowed, as in a zone file. */
export function serialIn(zone: string): number | undefined {
  const own = HEAD.exec(zone)
  return asSerial(own === null ? serialAnywhere(zone) : own[1])
}

/** The beginning of a zone that this program wrote. */
const HEAD = /^\$ORIGIN atlas\.\n@ 3600 IN SOA \S+ \S+ ([0-9]{1,10}) /

function serialAnywhere(zone: string): string | undefined {
  const words = zone.replaceAll(/;.*$/gm, ' ').replaceAll(/[()]/g, ' ').split(/\s+/)
  const at = words.findIndex(word => word.toUpperCase() === 'SOA')
  return at < 0 ? undefined : words[at + 3]
}

function asSerial(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) && Number(text) <= SERIAL_MAX ? Number(text) : undefined
}

/** The port of the observability Envoy for Thanos Query. */
const THANOS_PORT = 10_901

const SERIAL_MAX = 2 ** 32 - 1

/**
 * The name server of the SOA and NS records is never asked, since queries are forwarded to an address; its name is outside the zone,
 * which would otherwise need an address record for it. Negative answers are cached for half a minute: a new cluster must not wait for
 * an hour.
 */
function headOf({namespace, clusterDomain}: Settings, serial: number): string {
  const server = `${objectNames.zone}.${namespace}.svc.${clusterDomain}.`
  const head = ['$ORIGIN atlas.', `@ 3600 IN SOA ${server} hostmaster.atlas. ${serial} 7200 3600 1209600 30`, `@ 3600 IN NS ${server}`]
  return `${head.join('\n')}\n`
}

function textOf(settings: Settings, serial: number, records: string): string {
  return `${headOf(settings, serial)}${records}${records === '' ? '' : '\n'}`
}

/** The records of all clusters that have an address, or of those in a group, sorted, a line each. */
const servedRecords = byGroup(group =>
  clusterText(
    (cluster, settings) => recordsOf(cluster, settings, group),
    parts =>
      parts
        .flatMap(part => linesOf(part))
        .sort()
        .join('\n'),
    group,
  ),
)

function recordsOf(cluster: Cluster, {namespace, clusterDomain}: Settings, group: string | undefined): string {
  const services = thanosEndpointsOf(cluster).map(({name}) => name)
  return portsOf(group)
    .flatMap(port => services.map(service => recordOf(port, zoneName(group), `${service}.${namespace}.svc.${clusterDomain}.`)))
    .join('\n')
}

/** No document of the 2021 program has groups, so they have one name each. */
function portsOf(group: string | undefined): readonly string[] {
  return group === undefined ? zonePortNames : ['thanos']
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.split('\n')
}

function recordOf(port: string, name: string, target: string): string {
  return `_${port}._tcp.${name} 60 IN SRV 10 100 ${THANOS_PORT} ${target}`
}

const RECORD = new RegExp(
  String.raw`^_(${zonePortNames.join('|')})\._tcp\.([-a-z0-9]+\.thanos\.atlas\.)\s+\d+\s+IN\s+SRV\s+\d+\s+\d+\s+\d+\s+(([-a-z0-9]+)${SIDECAR_SEPARATOR}[-a-z0-9]+\.[-.a-z0-9]+\.)\s*$`,
  'gm',
)

/** The records in `previous` of clusters whose registration can't be read, and of which no readable one is known. */
function heldRecords(fleet: Fleet, previous: string): readonly string[] {
  if (fleet.faults.size === 0) return []
  const served = new Set<string>(clustersOf(fleet).map(cluster => cluster.name))
  const isHeld = (name: string): boolean =>
    !served.has(name) &&
    !isRevoked(fleet, name as ClusterName) &&
    (isBroken(fleet, 'registration', name) || isBroken(fleet, 'object', objectKey('Service', name)))
  return [...previous.matchAll(RECORD)].flatMap(([, port = '', name = '', target = '', cluster = '']) =>
    isHeld(cluster) ? [recordOf(port, name, target)] : [],
  )
}

function nextSerial(earlier: readonly (number | undefined)[], now: Date): number {
  const following = earlier.filter(serial => serial !== undefined && serial < SERIAL_MAX).map(serial => Number(serial) + 1)
  return Math.max(Math.floor(now.getTime() / 1000), ...following)
}
