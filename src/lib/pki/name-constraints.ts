/** Whether the name constraints of a certificate that signs (RFC 5280 section 4.2.1.10) permit the names of an installation's certificates. */
import {sni} from '../model/names.js'
import type {Settings} from '../model/settings.js'
import {type DerElement, readDer} from './der.js'

/**
 * Why the constraints forbid names that Atlas gives, or cannot be shown to permit them; undefined: they permit them all. Completes "it …".
 * @param extension DER, as `readFields` gives it
 * @throws AtlasError `invalid` where it does not decode
 */
export function whyNamesForbidden(extension: Uint8Array, {trustDomain, namespace, clusterDomain}: Settings): string | undefined {
  const [permitted, excluded] = subtreesIn(extension)
  const odd = [...permitted, ...excluded].find(({kind}) => !KINDS.has(kind) && !HARMLESS.has(kind))
  if (odd !== undefined)
    return odd.kind === DIRECTORY
      ? 'constrains the subjects of certificates, which Atlas names itself'
      : 'constrains names of a kind that Atlas does not know'
  // Everything below these two, such as paris.downstream.atlas.internal and *.monitoring.svc.cluster.local.
  const parents = [trustDomain, sni.anyService(namespace, clusterDomain).replace('*.', '')]
  const dns = [...parents.map(name => judgeDns(name, permitted, excluded)), judgeUri(trustDomain, permitted, excluded)]
  return dns.find(fault => fault !== undefined)
}

interface Subtree {
  /** The tag of the GeneralName. */
  readonly kind: number
  /** In lower case. */
  readonly base: string
}

const [EMAIL, DNS, URI, ADDRESS, DIRECTORY] = [0x81, 0x82, 0x86, 0x87, 0xa4]
const KINDS: ReadonlySet<number> = new Set([DNS, URI])
/** Of names that no certificate of Atlas carries. */
const HARMLESS: ReadonlySet<number> = new Set([EMAIL, ADDRESS])

/** The permitted and the excluded ones. */
function subtreesIn(extension: Uint8Array): readonly [readonly Subtree[], readonly Subtree[]] {
  const parts = readDer(extension).flatMap(sequence => readDer(sequence.value))
  const of = (tag: number): readonly Subtree[] => parts.filter(part => part.tag === tag).flatMap(part => readDer(part.value).map(subtreeIn))
  return [of(0xa0), of(0xa1)]
}

/** RFC 5280 allows no minimum and no maximum; verifiers refuse a subtree that has one. */
function subtreeIn(element: DerElement): Subtree {
  const [base, ...distances] = readDer(element.value)
  if (base === undefined || distances.length > 0) return {kind: 0, base: ''}
  return {kind: base.tag, base: Buffer.from(base.value).toString('latin1').toLowerCase()}
}

/** @param parent all names are below it, at any depth */
function judgeDns(parent: string, permitted: readonly Subtree[], excluded: readonly Subtree[]): string | undefined {
  const bases = (subtrees: readonly Subtree[]): readonly string[] =>
    subtrees.filter(({kind}) => kind === DNS).map(({base}) => base.replace(/^\./, ''))
  const isWithin = (name: string, base: string): boolean => base === '' || name === base || name.endsWith(`.${base}`)
  const allowed = bases(permitted)
  if (allowed.length > 0 && !allowed.some(base => isWithin(parent, base))) return `does not permit the DNS names below ${parent}`
  // A name below the parent may be excluded, too: which clusters there will be is not known.
  if (bases(excluded).some(base => isWithin(parent, base) || isWithin(base, parent))) return `excludes DNS names below ${parent}`
  return undefined
}

/** By the host of a URI: a base with a dot in front is for hosts below it, any other for this very host. */
function judgeUri(host: string, permitted: readonly Subtree[], excluded: readonly Subtree[]): string | undefined {
  const bases = (subtrees: readonly Subtree[]): readonly string[] => subtrees.filter(({kind}) => kind === URI).map(({base}) => base)
  const allowed = bases(permitted)
  if (allowed.length > 0 && !allowed.some(base => base === host || (base.startsWith('.') && host.endsWith(base))))
    return `does not permit URIs such as spiffe://${host}/observability`
  if (bases(excluded).some(base => base === '' || host === base.replace(/^\./, '') || host.endsWith(`.${base.replace(/^\./, '')}`)))
    return `excludes URIs such as spiffe://${host}/observability`
  return undefined
}
