/** A strict reader of DNS zone files (RFC 1035 section 5) with the record types that Atlas writes; throws for a file that a name server would refuse. */

export interface ZoneRecord {
  /** Absolute, with the dot at its end. */
  readonly owner: string
  readonly ttl: number
  readonly type: 'NS' | 'SOA' | 'SRV'
  /** Names in it are absolute. */
  readonly data: readonly string[]
}

export interface Zone {
  readonly origin: string
  readonly serial: number
  /** Without the SOA record. */
  readonly records: readonly ZoneRecord[]
}

const FIELDS = {NS: ['name'], SOA: ['name', 'name', 'u32', 'u32', 'u32', 'u32', 'u32'], SRV: ['u16', 'u16', 'u16', 'name']} as const

/** @throws Error, with the line, unless it is one zone with one SOA record, which comes first */
export function readZone(text: string): Zone {
  let origin: string | undefined
  let last: string | undefined
  const records: ZoneRecord[] = []
  for (const line of logicalLines(text)) {
    const refuse = (why: string): Error => new Error(`${why}: ${line}`)
    const words = line.trim().split(/\s+/)
    if (words[0] === '$ORIGIN') {
      if (words.length !== 2 || !isAbsolute(words[1] ?? '')) throw refuse('$ORIGIN takes an absolute name')
      origin = words[1]
      continue
    }

    if (origin === undefined) throw refuse('a record before $ORIGIN')
    const absolute = (name: string): string => (name === '@' ? String(origin) : name.endsWith('.') ? name : `${name}.${origin ?? ''}`)
    const owner: string | undefined = /^\s/.test(line) ? last : absolute(words.shift() ?? '')
    if (owner === undefined || !isAbsolute(owner)) throw refuse('no legal owner name')
    last = owner
    const [ttl = '', dnsClass, type = '', ...rest] = words
    if (!isNumber(ttl, 2 ** 31 - 1)) throw refuse('no time to live')
    if (dnsClass !== 'IN') throw refuse('the class must be IN')
    if (!isType(type)) throw refuse('a type that Atlas does not write')
    const kinds = FIELDS[type]
    if (rest.length !== kinds.length) throw refuse(`${type} takes ${kinds.length} fields`)
    const data = kinds.map((kind, index) => {
      const word = rest[index] ?? ''
      const value = kind === 'name' ? absolute(word) : word
      const isLegal = kind === 'name' ? isAbsolute(value) : isNumber(value, kind === 'u16' ? 65_535 : 2 ** 32 - 1)
      if (!isLegal) throw refuse(`"${word}" is no legal ${kind}`)
      return value
    })
    if (owner !== origin && !owner.endsWith(`.${origin}`)) throw refuse('an owner outside of the zone')
    records.push({owner, ttl: Number(ttl), type, data})
  }

  const [first, ...others] = records
  if (origin === undefined || first?.type !== 'SOA' || first.owner !== origin) throw new Error('a zone begins with its SOA record')
  if (others.some(({type}) => type === 'SOA')) throw new Error('a zone has one SOA record')
  const lines = others.map(record => JSON.stringify(record))
  if (new Set(lines).size < lines.length) throw new Error('a record stands there twice')
  return {origin, serial: Number(first.data[2]), records: others}
}

/** `host:port` of every SRV record of a name, as Thanos Query resolves `dnssrvnoa+NAME`. */
export function endpointsIn(text: string, name: string): readonly string[] {
  return readZone(text)
    .records.filter(({owner, type}) => type === 'SRV' && owner === name)
    .map(({data}) => `${(data[3] ?? '').replace(/\.$/, '')}:${data[2] ?? ''}`)
}

/** Without comments and empty lines; a record in brackets is one line. */
function logicalLines(text: string): readonly string[] {
  const lines: string[] = []
  let open: string | undefined
  for (const line of text.split('\n').map(each => each.replace(/;.*$/, ''))) {
    const joined: string = open === undefined ? line : `${open} ${line.trim()}`
    const [opened, closed] = [joined.split('(').length - 1, joined.split(')').length - 1]
    if (opened > 1 || closed > opened) throw new Error(`brackets that do not fit: ${joined}`)
    open = opened > closed ? joined : undefined
    if (open === undefined && joined.trim() !== '') lines.push(joined.replaceAll(/[()]/g, ' '))
  }

  if (open !== undefined) throw new Error('a bracket is never closed')
  return lines
}

function isAbsolute(name: string): boolean {
  const labels = name.slice(0, -1).split('.')
  return name.endsWith('.') && name.length <= 254 && labels.every(label => /^[_a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?$/i.test(label))
}

function isNumber(text: string, max: number): boolean {
  return /^(0|[1-9][0-9]*)$/.test(text) && Number(text) <= max
}

function isType(text: string): text is keyof typeof FIELDS {
  return text in FIELDS
}
