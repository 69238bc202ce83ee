/** A DNS client that asks one name server once, and shows the answer as it came: its size, whether it was cut, and how many records it has. */
import {createSocket} from 'node:dgram'
import {connect} from 'node:net'
import type {HostPort} from '../../src/lib/model/address.js'

export interface DnsAnswer {
  readonly bytes: number
  /** TC: the client is to ask again by TCP. */
  readonly isTruncated: boolean
  /** RCODE. */
  readonly code: number
  readonly answers: number
}

export interface DnsQuestion {
  readonly name: string
  /** `udp`: the bytes that the client says it takes, in an EDNS record; `plain`: UDP without that record, so 512. */
  readonly by: 'plain' | 'tcp' | {readonly udp: number}
}

const TYPE_SRV = 33
const TYPE_OPT = 41
const LIMIT_MS = 10_000

/** Asks for the SRV records of a name. @throws Error after 10 s without an answer */
export async function askSrv(at: HostPort, {name, by}: DnsQuestion): Promise<DnsAnswer> {
  const id = Math.floor(Math.random() * 65_536)
  const query = queryOf(id, name, typeof by === 'object' ? by.udp : undefined)
  const message = await within(by === 'tcp' ? overTcp(at, query) : overUdp(at, query))
  if (message.readUInt16BE(0) !== id) throw new Error('the answer is for another question')
  const flags = message.readUInt16BE(2)
  return {bytes: message.length, isTruncated: (flags & 0x02_00) !== 0, code: flags & 0xf, answers: message.readUInt16BE(6)}
}

function queryOf(id: number, name: string, size: number | undefined): Buffer {
  const numbers = (...values: readonly number[]): Buffer => {
    const buffer = Buffer.alloc(values.length * 2)
    for (const [index, value] of values.entries()) buffer.writeUInt16BE(value, index * 2)
    return buffer
  }
  const labels = name
    .replace(/\.$/, '')
    .split('.')
    .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]))
  const root = Buffer.from([0])
  const edns = size === undefined ? [] : [root, numbers(TYPE_OPT, size, 0, 0, 0)]
  return Buffer.concat([numbers(id, 0x01_00, 1, 0, 0, edns.length === 0 ? 0 : 1), ...labels, root, numbers(TYPE_SRV, 1), ...edns])
}

async function overUdp({host, port}: HostPort, query: Buffer): Promise<Buffer> {
  const socket = createSocket('udp4')
  try {
    return await new Promise((resolve, reject) => {
      socket.once('error', reject).once('message', resolve)
      socket.send(query, port, host)
    })
  } finally {
    socket.close()
  }
}

/** Each message has its length in front of it (RFC 1035, 4.2.2). */
async function overTcp({host, port}: HostPort, query: Buffer): Promise<Buffer> {
  const socket = connect({host, port})
  const length = Buffer.alloc(2)
  length.writeUInt16BE(query.length)
  socket.write(Buffer.concat([length, query]))
  let received = Buffer.alloc(0)
  try {
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer])
      if (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) return received.subarray(2, received.readUInt16BE(0) + 2)
    }
  } finally {
    socket.destroy()
  }

  throw new Error(`the connection ended after ${received.length} bytes`)
}

async function within<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer')), LIMIT_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
