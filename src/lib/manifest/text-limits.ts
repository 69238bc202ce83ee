/** How long the texts that Thanos Query reads may be, and why one is too long. What is written instead is planned in ops/. */
import {objectNames} from '../model/names.js'
import {rememberLast} from '../model/remember.js'

/** Bytes of all values of a ConfigMap; the API server refuses more (Kubernetes, validation.MaxSecretSize). */
export const CONFIG_MAP_MAX = 1_048_576

/**
 * Bytes of the records in one DNS answer. A message has at most 65,535 (RFC 1035, 4.2.2), of which header, question and EDNS options may
 * take 135. CoreDNS cuts a longer answer, each time elsewhere: Thanos Query then finds other clusters at every look, or none
 * (docs/reference/limits.md).
 */
export const DNS_ANSWER_MAX = 65_400

/**
 * Why a name of the zone can't be served, as a sentence of at most 300 characters, which a Lease takes; undefined: it can.
 * @param lines the name's records, a line each
 */
export function whyNameTooLong(lines: string): string | undefined {
  // A record is shorter in an answer than in the zone.
  if (lines.length <= DNS_ANSWER_MAX) return undefined
  const {bytes, records, name} = longestAnswer(lines)
  if (bytes <= DNS_ANSWER_MAX) return undefined
  return `DNS name ${name} stays as it was: its answer would have ${bytes} bytes for ${records} replicas, and DNS carries ${DNS_ANSWER_MAX}; let Thanos Query read the endpoints file, use smaller groups, or set dnsZone.enabled=false (serve --no-dns-zone)`
}

/** Why the zone as a whole can't be written, as `whyNameTooLong`. */
export function whyZoneTooLong(names: readonly {readonly records: string}[]): string | undefined {
  const bytes = names.reduce((sum, {records}) => sum + records.length + 1, HEAD_MAX)
  if (bytes <= CONFIG_MAP_MAX) return undefined
  return `the DNS zone (ConfigMap ${objectNames.zone}) stays as it was: it would have ${bytes} bytes, and a ConfigMap holds ${CONFIG_MAP_MAX}; let Thanos Query read the endpoints files, list fewer groups, or set dnsZone.enabled=false (serve --no-dns-zone)`
}

/** Bytes of the zone without its records. */
const HEAD_MAX = 2000

/** Why the endpoints file can't be written, as `whyNameTooLong`. @param group whose file it is */
export function whyEndpointsTooLong(text: string, group?: string): string | undefined {
  const bytes = bytesOf(text)
  if (bytes <= CONFIG_MAP_MAX) return undefined
  const replicas = text.match(/^- address: /gm)?.length ?? 0
  const object = group === undefined ? objectNames.endpoints : objectNames.groupEndpoints(group)
  return `the endpoints file (ConfigMap ${object}) stays as it was: it would have ${bytes} bytes for ${replicas} replicas, and a ConfigMap holds ${CONFIG_MAP_MAX}; shorten --endpoint-template, or use smaller groups, each with a Thanos Query`
}

const bytesOf = rememberLast((text: string) => Buffer.byteLength(text))

interface Answer {
  /** For which it is. */
  readonly name: string
  readonly bytes: number
  readonly records: number
}

/** The longest answer to one name. CoreDNS compresses the name that was asked for (2 bytes) and no target. */
const longestAnswer = rememberLast((lines: string): Answer => {
  const answers = new Map<string, Answer>()
  for (const line of lines.split('\n')) {
    const name = line.slice(0, line.indexOf(' '))
    const target = line.length - line.lastIndexOf(' ') - 1
    const {bytes, records} = answers.get(name) ?? {bytes: 0, records: 0}
    // Name, type, class, TTL and length (12), priority, weight and port (6); a name on the wire has one byte more than its text.
    answers.set(name, {name, bytes: bytes + 12 + 6 + target + 1, records: records + 1})
  }

  return [...answers.values()].reduce((a, b) => (b.bytes > a.bytes ? b : a), {name: '', bytes: 0, records: 0})
})
