/** A DNS server on UDP whose records a test sets: addresses of either family with a TTL, errors, answers that come late or never. */
import {createSocket} from 'node:dgram'
import {setTimeout as later} from 'node:timers/promises'
import type {HostPort} from '../../src/lib/model/address.js'

/** What a query for one name and type gets. `nodata`: the name exists, without a record of this type. */
export type Records =
  'nodata' | 'nxdomain' | 'servfail' | 'silent' | {readonly addresses: readonly string[]; readonly ttl: number; readonly delayMs?: number}

export interface DnsServer {
  /** Sets both record types of a name; a type that is left out is `nodata`. Names that were never set are answered with NXDOMAIN. */
  set(name: string, records: {readonly A?: Records; readonly AAAA?: Records}): void
  /** The queries so far, as `NAME TYPE`; names as they were asked, without the last dot. */
  queries(): readonly string[]
  close(): void
}

const types: Readonly<Record<number, 'A' | 'AAAA'>> = {1: 'A', 28: 'AAAA'}

export async function serveDnsRecords({host, port}: HostPort): Promise<DnsServer> {
  const table = new Map<string, Records>()
  const asked: string[] = []
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  let isOpen = true
  socket.on('message', (query, peer) => {
    void (async () => {
      const {name, type, end} = questionOf(query)
      asked.push(`${name} ${types[type] ?? String(type)}`)
      const records = table.get(`${name} ${types[type] ?? ''}`) ?? 'nxdomain'
      if (records === 'silent') return
      if (typeof records === 'object' && records.delayMs !== undefined) await later(records.delayMs)
      if (isOpen) socket.send(replyTo(query.subarray(0, end), type, records), peer.port, peer.address)
    })()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({address: host, port}, resolve)
  })
  return {
    set(name, records) {
      for (const type of ['A', 'AAAA'] as const) table.set(`${name} ${type}`, records[type] ?? 'nodata')
    },
    queries: () => asked,
    close() {
      isOpen = false
      socket.close()
    },
  }
}

/** The only question of a query (RFC 1035 4.1.2). */
function questionOf(query: Buffer): {readonly name: string; readonly type: number; readonly end: number} {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }

  return {name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5}
}

function replyTo(query: Buffer, type: number, records: Exclude<Records, 'silent'>): Buffer {
  const reply = Buffer.from(query)
  const code = records === 'nxdomain' ? 3 : records === 'servfail' ? 2 : 0
  const answers = typeof records === 'object' ? records.addresses.map(address => recordOf(address, type, records.ttl)) : []
  reply.writeUInt16BE(0x85_80 | code, 2)
  reply.writeUInt16BE(answers.length, 6)
  reply.writeUInt32BE(0, 8) // no authority records; the query's EDNS record is left out
  return Buffer.concat([reply, ...answers])
}

function recordOf(address: string, type: number, ttl: number): Buffer {
  const data = address.includes(':') ? ipv6Bytes(address) : Buffer.from(address.split('.').map(Number))
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc0_0c, 0) // the question's name
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function ipv6Bytes(address: string): Buffer {
  const [front = '', back] = address.split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(front), groups(back ?? '')]
  const all = back === undefined ? first : [...first, ...Array.from({length: 8 - first.length - last.length}, () => '0'), ...last]
  return Buffer.from(all.map(group => group.padStart(4, '0')).join(''), 'hex')
}
