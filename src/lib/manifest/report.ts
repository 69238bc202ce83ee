/**
 * What server replicas tell each other: ConfigMaps `atlas-proxies-<replica>` (compressed) and `atlas-replicas`. Another server's report
 * is read field by field, and only what is known and within bounds is taken: the server may be compromised, or of another version.
 */
import {gunzipSync} from 'node:zlib'
import {AtlasError, messageOf} from '../model/errors.js'
import {type Owner, ownerIn, parseOwner} from '../model/names.js'
import {NODE_ID_MAX} from '../model/node.js'
import type {
  AbsentNode,
  Leftover,
  ProxyReport,
  RefusalReport,
  ReplicaReport,
  Report,
  TypeReport,
  UnrepairedReport,
} from '../model/report.js'
import {type Fields, choiceIn, fieldsIn, listIn, optional, textIn, timeIn, wholeIn, wrong} from './json.js'
import type {Manifest} from './manifest.js'
import {packReport} from './pack-report.js'
import {at} from './path.js'

const REPORT = 'report.json.gz'
const DIGEST = 'digest'
const LIVING = 'living'

/** A report that unpacks to more is refused: it would fill the reader's memory. Some 20,000 proxies. */
const UNPACKED_MAX = 8 * 1024 * 1024
/** Reports with longer lists or texts are refused. */
const PROXIES_MAX = 20_000
const LIST_MAX = 2000
const TEXT_MAX = 1100

/** `binaryData` and `data` of the ConfigMap. An object holds 1 MiB at most (etcd), some 10,000 proxies. */
export function encodeReport(value: ReplicaReport): Readonly<Record<'binaryData' | 'data', Record<string, string>>> {
  const packed = packReport(value).toString('base64')
  written = {packed, value}
  return {binaryData: {[REPORT]: packed}, data: {[DIGEST]: value.digest}}
}

/** The last report of this process, which need not be unpacked when the store shows it again. */
let written: {readonly packed: string; readonly value: ReplicaReport} | undefined

/** @throws AtlasError `invalid` */
export function decodeReport(manifest: Manifest): ReplicaReport {
  return at(`binaryData.${REPORT}`, () => {
    const packed = (manifest['binaryData'] as Fields | undefined)?.[REPORT]
    if (written !== undefined && packed === written.packed && manifest.data?.[DIGEST] === written.value.digest) return written.value
    try {
      const {report, leftovers} = fieldsIn(unpacked(textIn(packed, REPORT)), 'the report')
      return {
        report: parseReport(fieldsIn(report, 'report')),
        leftovers: listIn(leftovers, 'leftovers', parseLeftover, LIST_MAX),
        digest: manifest.data?.[DIGEST] ?? '',
      }
    } catch (error) {
      throw new AtlasError('invalid', `this is no report of a server replica of format 1: ${messageOf(error)}`)
    }
  })
}

/** The names of living replicas as ConfigMap data. */
export function encodeReplicas(living: readonly string[]): Readonly<Record<string, string>> {
  return {[LIVING]: living.join(',')}
}

export function decodeReplicas(manifest: Manifest): readonly string[] {
  return (manifest.data?.[LIVING] ?? '').split(',').filter(name => name !== '')
}

function unpacked(packed: string): unknown {
  try {
    return JSON.parse(gunzipSync(Buffer.from(packed, 'base64'), {maxOutputLength: UNPACKED_MAX}).toString('utf8'))
  } catch {
    throw new AtlasError('invalid', `${REPORT} must be compressed JSON of at most ${UNPACKED_MAX >> 20} MiB`)
  }
}

function parseReport(fields: Fields): Report {
  if (fields['format'] !== 1) throw wrong('format', '1', fields['format'])
  const store = fieldsIn(fields['store'], 'store')
  return {
    format: 1,
    at: timeIn(fields['at'], 'at'),
    startedAt: timeIn(fields['startedAt'], 'startedAt'),
    ...optional(fields, 'clockHeldUntil', timeIn),
    address: text(fields['address'], 'address'),
    ready: fields['ready'] === true,
    reasons: texts(fields['reasons'], 'reasons'),
    warnings: texts(fields['warnings'], 'warnings'),
    store: {description: text(store['description'], 'store.description'), reachable: store['reachable'] === true},
    ...optional(fields, 'tls', parseTls),
    proxies: listIn(fields['proxies'], 'proxies', parseProxy, PROXIES_MAX),
    ...optional(fields, 'absent', (value, what) => listIn(value, what, parseAbsent, PROXIES_MAX)),
    // The reader finds this out itself; an impossible name belongs to no cluster.
    withoutProxy: listIn(fields['withoutProxy'], 'withoutProxy', text, PROXIES_MAX).flatMap(name => ownerIn(name) ?? []),
    refusals: listIn(fields['refusals'], 'refusals', parseRefusal, LIST_MAX),
    unrepaired: listIn(fields['unrepaired'], 'unrepaired', parseUnrepaired, LIST_MAX),
    faults: listIn(fields['faults'], 'faults', parseFault, LIST_MAX),
  }
}

function parseAbsent(entry: unknown, what: string): AbsentNode {
  const fields = fieldsIn(entry, what)
  return {
    ...nodeIn(fields, what),
    since: timeIn(fields['since'], `${what}.since`),
    ...(fields['leftWithServer'] === true && {leftWithServer: true}),
  }
}

function parseProxy(entry: unknown, what: string): ProxyReport {
  const fields = fieldsIn(entry, what)
  const credential = fieldsIn(fields['credential'], `${what}.credential`)
  return {
    ...nodeIn(fields, what),
    sequence: wholeIn(fields['sequence'], `${what}.sequence`),
    variant: fields['variant'] === 'sotw' ? 'sotw' : 'delta',
    path: fields['path'] === 'relay' ? 'relay' : 'direct',
    connectedSince: timeIn(fields['connectedSince'], `${what}.connectedSince`),
    ...optional(fields, 'lastChange', timeIn),
    types: listIn(fields['types'], `${what}.types`, parseType, 16),
    credential: {
      sha256: text(credential['sha256'], `${what}.credential.sha256`),
      ...optional(credential, 'notAfter', timeIn),
      ...optional(credential, 'rootsDigest', text),
    },
    ...optional(fields, 'identity', parseIdentityReport),
    ...optional(fields, 'envoyVersion', text),
    ...optional(fields, 'openFiles', wholeIn),
    ...optional(fields, 'workers', wholeIn),
    ...optional(fields, 'maxHeapBytes', wholeIn),
    ...optional(fields, 'upstreamTls', texts),
    ...optional(fields, 'relayedBy', text),
    ...optional(fields, 'trust', text),
    ...optional(fields, 'adsTrust', text),
    ...optional(fields, 'frozen', text),
    equalIds: wholeIn(fields['equalIds'], `${what}.equalIds`),
  }
}

function parseIdentityReport(value: unknown, what: string): NonNullable<ProxyReport['identity']> {
  const fields = fieldsIn(value, what)
  return {version: text(fields['version'], `${what}.version`), ...optional(fields, 'notAfter', timeIn)}
}

function parseTls(value: unknown, what: string): NonNullable<Report['tls']> {
  const fields = fieldsIn(value, what)
  return {
    certificate: text(fields['certificate'], `${what}.certificate`),
    trust: text(fields['trust'], `${what}.trust`),
    ...optional(fields, 'identities', text),
  }
}

function parseType(entry: unknown, what: string): TypeReport {
  const fields = fieldsIn(entry, what)
  return {
    type: text(fields['type'], `${what}.type`),
    state: choiceIn(fields['state'], `${what}.state`, ['nack', 'stale', 'synced']),
    sent: wholeIn(fields['sent'], `${what}.sent`),
    acknowledged: wholeIn(fields['acknowledged'], `${what}.acknowledged`),
    ...optional(fields, 'nack', text),
    ...optional(fields, 'nackNames', texts),
  }
}

function parseRefusal(entry: unknown, what: string): RefusalReport {
  const fields = fieldsIn(entry, what)
  return {
    at: timeIn(fields['at'], `${what}.at`),
    reason: text(fields['reason'], `${what}.reason`),
    message: text(fields['message'], `${what}.message`),
    peer: text(fields['peer'], `${what}.peer`),
    ...optional(fields, 'cluster', owner),
  }
}

function parseFault(entry: unknown, what: string): Report['faults'][number] {
  const fields = fieldsIn(entry, what)
  return {
    subject: text(fields['subject'], `${what}.subject`),
    object: text(fields['object'], `${what}.object`),
    key: text(fields['key'], `${what}.key`),
    message: text(fields['message'], `${what}.message`),
    ...optional(fields, 'source', text),
  }
}

function parseUnrepaired(entry: unknown, what: string): UnrepairedReport {
  const fields = fieldsIn(entry, what)
  const names = Object.entries(fieldsIn(fields['names'], `${what}.names`)).slice(0, 16)
  return {
    ...nodeIn(fields, what),
    names: Object.fromEntries(names.map(([type, some]) => [text(type, 'a type'), texts(some, `${what}.names`)])),
  }
}

function parseLeftover(entry: unknown, what: string): Leftover {
  const fields = fieldsIn(entry, what)
  return {
    ...nodeIn(fields, what),
    typeUrl: text(fields['typeUrl'], `${what}.typeUrl`),
    sent: texts(fields['sent'], `${what}.sent`),
    removed: texts(fields['removed'], `${what}.removed`),
  }
}

function nodeIn(fields: Fields, what: string): {readonly cluster: Owner; readonly id: string} {
  return {cluster: owner(fields['cluster'], `${what}.cluster`), id: textIn(fields['id'], `${what}.id`, NODE_ID_MAX)}
}

function text(value: unknown, what: string): string {
  return textIn(value, what, TEXT_MAX)
}

function texts(value: unknown, what: string): readonly string[] {
  return listIn(value, what, text, LIST_MAX)
}

function owner(value: unknown, what: string): Owner {
  return parseOwner(text(value, what))
}
