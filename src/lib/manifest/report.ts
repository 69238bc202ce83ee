/** What another server replica says, taken for what it is: a stranger's JSON. Only what is known and fits comes through. */
import {AtlasError} from '../model/errors.js'
import {type Owner, parseOwner} from '../model/names.js'
import type {Leftover, ProxyReport, RefusalReport, ReplicaReport, Report, TypeReport, UnrepairedReport} from '../model/report.js'
import {NODE_ID_MAX} from '../model/node.js'

const PROXIES_MAX = 20_000
const LIST_MAX = 2000
const TEXT_MAX = 1100

/** @throws AtlasError `invalid` where it is no report of this format */
export function parseReplicaReport(value: unknown): Omit<ReplicaReport, 'digest'> {
  const {report, leftovers} = record(value)
  return {report: parseReport(record(report)), leftovers: list(leftovers, LIST_MAX).map(entry => parseLeftover(entry))}
}

function parseReport(value: Fields): Report {
  if (value['format'] !== 1) throw wrong()
  return {
    format: 1,
    at: time(value['at']),
    startedAt: time(value['startedAt']),
    address: text(value['address']),
    ready: value['ready'] === true,
    reasons: texts(value['reasons']),
    warnings: texts(value['warnings']),
    store: {description: text(record(value['store'])['description']), reachable: record(value['store'])['reachable'] === true},
    proxies: list(value['proxies'], PROXIES_MAX).map(entry => parseProxy(entry)),
    // Whoever reads this finds it out himself; a name that can't be is nobody's.
    withoutProxy: list(value['withoutProxy'], PROXIES_MAX).flatMap(entry => ownerIn(entry) ?? []),
    refusals: list(value['refusals'], LIST_MAX).map(entry => parseRefusal(record(entry))),
    unrepaired: list(value['unrepaired'], LIST_MAX).map(entry => parseUnrepaired(record(entry))),
    faults: list(value['faults'], LIST_MAX).map(entry => parseFault(record(entry))),
  }
}

function parseProxy(entry: unknown): ProxyReport {
  const value = record(entry)
  const [credential, identity] = [record(value['credential']), value['identity'] === undefined ? undefined : record(value['identity'])]
  return {
    cluster: owner(value['cluster']),
    id: nodeId(value['id']),
    sequence: number(value['sequence']),
    variant: value['variant'] === 'sotw' ? 'sotw' : 'delta',
    path: value['path'] === 'relay' ? 'relay' : 'direct',
    connectedSince: time(value['connectedSince']),
    ...optional('lastChange', value['lastChange'], time),
    types: list(value['types'], 16).map(type => parseType(record(type))),
    credential: {
      sha256: text(credential['sha256']),
      ...optional('notAfter', credential['notAfter'], time),
      ...optional('rootsDigest', credential['rootsDigest'], text),
    },
    ...(identity !== undefined && {identity: {version: text(identity['version']), ...optional('notAfter', identity['notAfter'], time)}}),
    ...optional('envoyVersion', value['envoyVersion'], text),
    ...optional('frozen', value['frozen'], text),
    equalIds: number(value['equalIds']),
  }
}

function parseType(value: Fields): TypeReport {
  const {state} = value
  if (state !== 'nack' && state !== 'stale' && state !== 'synced') throw wrong()
  return {
    type: text(value['type']),
    state,
    sent: number(value['sent']),
    acknowledged: number(value['acknowledged']),
    ...optional('nack', value['nack'], text),
    ...optional('nackNames', value['nackNames'], texts),
  }
}

function parseRefusal(value: Fields): RefusalReport {
  return {
    at: time(value['at']),
    reason: text(value['reason']),
    message: text(value['message']),
    peer: text(value['peer']),
    ...optional('cluster', value['cluster'], owner),
  }
}

function parseFault(value: Fields): Report['faults'][number] {
  return {
    subject: text(value['subject']),
    object: text(value['object']),
    key: text(value['key']),
    message: text(value['message']),
    ...optional('source', value['source'], text),
  }
}

function parseUnrepaired(value: Fields): UnrepairedReport {
  const names = Object.entries(record(value['names'])).slice(0, 16)
  return {
    cluster: owner(value['cluster']),
    id: nodeId(value['id']),
    names: Object.fromEntries(names.map(([type, some]) => [text(type), texts(some)])),
  }
}

function parseLeftover(entry: unknown): Leftover {
  const value = record(entry)
  return {
    cluster: owner(value['cluster']),
    id: nodeId(value['id']),
    typeUrl: text(value['typeUrl']),
    sent: texts(value['sent']),
    removed: texts(value['removed']),
  }
}

type Fields = Readonly<Record<string, unknown>>

function wrong(): AtlasError {
  return new AtlasError('invalid', 'wanted the report of a server replica, format 1; it is something else')
}

function record(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong()
  return value as Fields
}

function list(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw wrong()
  return value
}

function text(value: unknown): string {
  if (typeof value !== 'string' || value.length > TEXT_MAX) throw wrong()
  return value
}

function texts(value: unknown): readonly string[] {
  return list(value, LIST_MAX).map(each => text(each))
}

function number(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong()
  return value
}

function time(value: unknown): string {
  const told = text(value)
  if (Number.isNaN(Date.parse(told))) throw wrong()
  return told
}

function owner(value: unknown): Owner {
  const found = ownerIn(value)
  if (found === undefined) throw wrong()
  return found
}

function ownerIn(value: unknown): Owner | undefined {
  try {
    return parseOwner(text(value))
  } catch {
    return undefined
  }
}

function nodeId(value: unknown): string {
  const id = text(value)
  if (id.length > NODE_ID_MAX) throw wrong()
  return id
}

/** The field where it stands there, and nothing where it does not. */
function optional<K extends string, T>(key: K, value: unknown, parse: (value: unknown) => T): Partial<Record<K, T>> {
  return value === undefined ? {} : ({[key]: parse(value)} as Partial<Record<K, T>>)
}
