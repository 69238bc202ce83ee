/** How many connected Envoys and servers have a certificate, by what servers report now: for `atlas rotate --status`. */
import {adsTrustSecret, trustSecret} from '../../envoy/secret.js'
import {type Fleet, isServed, recordOf} from '../../model/fleet.js'
import {OBSERVABILITY, type Owner} from '../../model/names.js'
import type {ProxyReport} from '../../model/report.js'
import {rootsText} from '../../pki/issue.js'
import {type CertificateFacts, readCertificates, rootsDigestOf} from '../../pki/read.js'
import {type ReportSource, latestProxies} from '../server-reports.js'

export interface Holders {
  /** How many have it … */
  readonly having: number
  /** … of so many that are connected. */
  readonly connected: number
  /** Those that lack it, each with its cluster, such as `paris paris-1`; at most `LACKING_MAX`. */
  readonly lacking: readonly string[]
}

/** Of more the number says enough. */
const LACKING_MAX = 10

/** Undefined where no server has reported: then nothing is known of Envoys. */
export interface HoldersOf {
  /** The connected Envoys of an owner. */
  readonly ownProxies: (owner: Owner) => readonly ProxyReport[]
  ofLeaf(owner: Owner, has: (proxy: ProxyReport) => boolean): Holders | undefined
  /** A root is trusted by the ADS credential that an Envoy came with. */
  ofRoot(root: CertificateFacts): Holders | undefined
  /** Issuers come as one bundle: those that have acknowledged the present one have each of them. */
  ofIssuers(): Holders | undefined
  /** Only the observability Envoy accepts ADS credentials. */
  ofCredentialIssuers(): Holders | undefined
  /** Servers that show a certificate. */
  ofServer(sha256: string): (Pick<Holders, 'having'> & {readonly reporting: number}) | undefined
}

/** @param sources the newest reports; none: no server has reported */
export function holdersIn(fleet: Fleet, sources: readonly ReportSource[]): HoldersOf {
  const isKnown = sources.length > 0
  const proxies = latestProxies(sources).filter(({cluster}) => cluster === OBSERVABILITY || isServed(fleet, cluster))
  const byOwner = Map.groupBy(proxies, ({cluster}) => cluster)
  const ownProxies = (owner: Owner): readonly ProxyReport[] => byOwner.get(owner) ?? []
  const count = (among: readonly ProxyReport[], has: (proxy: ProxyReport) => boolean | undefined): Holders | undefined =>
    isKnown ? holdersAmong(among, has) : undefined
  const {trust} = fleet
  const bundles = trust && {issuers: trustSecret(trust).version, credentialIssuers: adsTrustSecret(trust).version}
  return {
    ownProxies,
    ofLeaf: (owner, has) => count(ownProxies(owner), has),
    ofRoot({sha256}) {
      const carrying = carriers(trust?.roots ?? [], sha256)
      return count(proxies, ({cluster, credential}) => {
        const record = recordOf(fleet, cluster).credentials.find(each => each.sha256 === credential.sha256)
        return carrying.get(record?.rootsDigest ?? credential.rootsDigest ?? '')
      })
    },
    ofIssuers: () => count(proxies, proxy => proxy.trust === bundles?.issuers),
    ofCredentialIssuers: () => count(ownProxies(OBSERVABILITY), ({adsTrust}) => adsTrust === bundles?.credentialIssuers),
    ofServer(sha256) {
      const servers = sources.flatMap(({report}) => report.tls ?? [])
      return isKnown ? {having: servers.filter(({certificate}) => certificate === sha256).length, reporting: servers.length} : undefined
    },
  }
}

/** @param has undefined where it is not known: such an Envoy is not counted among those that have it, nor named */
function holdersAmong(among: readonly ProxyReport[], has: (proxy: ProxyReport) => boolean | undefined): Holders {
  const known = among.map(proxy => ({proxy, has: has(proxy)}))
  const lacking = known.filter(each => each.has === false).slice(0, LACKING_MAX)
  return {
    having: known.filter(each => each.has === true).length,
    connected: among.length,
    lacking: lacking.map(({proxy: {cluster, id}}) => `${cluster} ${id}`),
  }
}

/**
 * Digests of the roots that a credential may carry, each with whether this root is among them: those in force, or some of them, as before
 * a rotation has ended. A credential with a root that is in force no more has another digest, of which nothing is known here.
 */
function carriers(roots: readonly string[], sha256: string): ReadonlyMap<string, boolean> {
  const spans = roots.flatMap((_, from) => roots.slice(from).map((__, more) => roots.slice(from, from + more + 1)))
  const isIn = (span: readonly string[]): boolean => span.some(pem => readCertificates(pem).some(facts => facts.sha256 === sha256))
  return new Map(spans.map(span => [rootsDigestOf(rootsText(span)), isIn(span)]))
}
