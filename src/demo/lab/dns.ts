/** A small DNS server on UDP: all names of one zone have one address. Thanos Query uses it through `dns://HOST:PORT/NAME` endpoints. */
import {type Socket, createSocket} from 'node:dgram'
import {isIPv4} from 'node:net'
import type {HostPort} from '../../lib/model/address.js'
import {AtlasError} from '../../lib/model/errors.js'

export interface Zone {
  /** Names that end in `.<suffix>` exist; all others are answered with NXDOMAIN. */
  readonly suffix: string
  /** The IPv4 address of each of them. */
  readonly address: string
}

/** Serves `zone` until `close`. @throws AtlasError `failed` when the port can't be bound */
export async function serveDns(listen: HostPort, zone: Zone): Promise<{close(): Promise<void>}> {
  const socket = createSocket('udp4')
  socket.on('message', (query, peer) => {
    const answer = answerQuery(query, zone)
    if (answer !== undefined) socket.send(answer, peer.port, peer.address)
  })
  await bind(socket, listen)
  return {close: () => new Promise(resolve => socket.close(() => resolve()))}
}

/**
 * The answer to one query (RFC 1035): an A record for a name of the zone, nothing for its other types, NXDOMAIN for other names.
 * @returns undefined where `query` is not a DNS query
 */
export function answerQuery(query: Buffer, zone: Zone): Buffer | undefined {
  if (query.length < HEADER || (query.readUInt16BE(2) & RESPONSE) !== 0) return undefined
  const question = query.readUInt16BE(4) === 1 ? readQuestion(query) : undefined
  if (question === undefined) return reply(query, FORMAT_ERROR)
  const isKnown = question.name.endsWith(`.${zone.suffix}`)
  if (!isKnown) return reply(query, NAME_ERROR, {question: question.bytes})
  const isAddress = question.type === TYPE_A && question.class === CLASS_IN
  return reply(query, NO_ERROR, {question: question.bytes, ...(isAddress && {address: zone.address})})
}

const HEADER = 12
const RESPONSE = 0x80_00
const RECURSION_DESIRED = 0x01_00
const AUTHORITATIVE = 0x04_00
const NO_ERROR = 0
const FORMAT_ERROR = 1
const NAME_ERROR = 3
const TYPE_A = 1
const CLASS_IN = 1
const TTL_SECONDS = 5
/** A pointer to the name at offset 12, which is the question's. */
const POINTER_TO_QUESTION = 0xc0_0c

async function bind(socket: Socket, {host, port}: HostPort): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once('error', error => {
      reject(new AtlasError('failed', `the demo's DNS can't listen on UDP ${host}:${port}: ${error.message}`, {cause: error}))
    })
    socket.bind({address: host, port, exclusive: true}, resolve)
  })
  // The client repeats a query whose answer could not be sent.
  socket.unref()
  socket.removeAllListeners('error').on('error', () => undefined)
}

interface Question {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly bytes: Buffer
}

function readQuestion(query: Buffer): Question | undefined {
  const labels: string[] = []
  let at = HEADER
  for (;;) {
    const length = query[at]
    // A length of 64 or more would be a pointer, which a question must not have.
    if (length === undefined || length > 63) return undefined
    at += 1
    if (length === 0) break
    labels.push(query.subarray(at, at + length).toString('latin1'))
    at += length
  }

  if (at + 4 > query.length) return undefined
  const bytes = query.subarray(HEADER, at + 4)
  return {name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at), class: query.readUInt16BE(at + 2), bytes}
}

function reply(query: Buffer, code: number, parts: {question?: Buffer; address?: string} = {}): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeUInt16BE(query.readUInt16BE(0), 0)
  header.writeUInt16BE(RESPONSE | AUTHORITATIVE | (query.readUInt16BE(2) & RECURSION_DESIRED) | code, 2)
  header.writeUInt16BE(parts.question === undefined ? 0 : 1, 4)
  header.writeUInt16BE(parts.address === undefined ? 0 : 1, 6)
  const answer = parts.address === undefined ? [] : [addressRecord(parts.address)]
  return Buffer.concat([header, ...(parts.question === undefined ? [] : [parts.question]), ...answer])
}

function addressRecord(address: string): Buffer {
  if (!isIPv4(address)) throw new AtlasError('invalid', `the demo's DNS serves IPv4 addresses, not ${address}`)
  const record = Buffer.alloc(16)
  record.writeUInt16BE(POINTER_TO_QUESTION, 0)
  record.writeUInt16BE(TYPE_A, 2)
  record.writeUInt16BE(CLASS_IN, 4)
  record.writeUInt32BE(TTL_SECONDS, 6)
  record.writeUInt16BE(4, 10)
  record.set(address.split('.').map(Number), 12)
  return record
}
