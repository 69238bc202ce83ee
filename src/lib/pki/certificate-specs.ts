/**
 * What each certificate should be: the tree of docs/explanation/security.md#certificates. Making one is issue.ts, comparing one with
 * it is judge.ts.
 */
import {type ClientName, type Owner, OBSERVABILITY, sni, spiffe} from '../model/names.js'
import type {Settings} from '../model/settings.js'

/** What a certificate may be shown for (its extended key usage). */
export type Purpose = 'client' | 'server'

export interface CertificateSpec {
  /** For messages, such as "the identity of paris". */
  readonly name: string
  /** Subject, for people only; programs compare the alternative names. At most 53 characters. */
  readonly commonName: string
  /** Compared for leaves only, like `dns`. */
  readonly uris: readonly string[]
  readonly dns: readonly string[]
  /** Empty: no extended key usage, which restricts nothing (roots). */
  readonly purposes: readonly Purpose[]
  /** Present for certificates that sign. */
  readonly ca?: {
    /** How many issuers may be between it and a leaf. */
    readonly pathLength: number
    /** A root is trusted as it is; its signature is not checked. */
    readonly isRoot: boolean
  }
  /** Seconds; shortened when its issuer ends earlier. */
  readonly lifetime: number
  /** The part of its life after which it is to be replaced, before jitter (rotation.ts). */
  readonly renewal: number
}

const TWO_THIRDS = 2 / 3

/** What a certificate of this spec says it may be used for, as assemble.ts takes it. */
export function extensionsFor({ca, purposes, uris, dns}: CertificateSpec) {
  const keyUsages = ca === undefined ? (['digitalSignature'] as const) : (['keyCertSign', 'cRLSign'] as const)
  return {ca, keyUsages, purposes, uris, dns}
}

/** The trust anchor, unique to an installation: it signs itself and the two issuers, nothing else. */
export function rootSpec(settings: Settings): CertificateSpec {
  return {...authority('the root', 'Atlas root', settings.lifetimes.root), purposes: [], ca: {pathLength: 1, isRoot: true}}
}

/** Signs identities, the ADS server's certificate and those of clients. */
export function issuerSpec(settings: Settings): CertificateSpec {
  return {...authority('the issuer', 'Atlas issuer', settings.lifetimes.issuer), purposes: ['server', 'client']}
}

/** Signs only ADS credentials, which are for clients only. It ends with its root. */
export function credentialIssuerSpec(settings: Settings): CertificateSpec {
  return {...authority('the credential issuer', 'Atlas credential issuer', settings.lifetimes.root), purposes: ['client']}
}

/** What SDS delivers. Every proxy is both server and client. */
export function identitySpec(settings: Settings, owner: Owner, generation: number): CertificateSpec {
  const {trustDomain, namespace, clusterDomain} = settings
  const base = {name: `the identity of ${owner}`, purposes: ['server', 'client'] as const, ...leaf(settings.lifetimes.identity)}
  if (owner === OBSERVABILITY)
    return {
      ...base,
      commonName: 'observability',
      uris: [spiffe.observability(trustDomain)],
      dns: [sni.observability(trustDomain), sni.anyService(namespace, clusterDomain)],
    }
  return {
    ...base,
    commonName: `downstream ${owner}`,
    uris: [spiffe.downstream(trustDomain, owner, generation)],
    // Exactly these two, in this order: Envoy prints a peer's DNS names joined by a comma, and a reverse tunnel takes that text for its tenant.
    dns: [sni.downstream(trustDomain, owner), sni.generation(trustDomain, owner, generation)],
  }
}

/** The ADS server's own certificate. */
export function serverSpec(settings: Settings): CertificateSpec {
  return {
    name: "the ADS server's certificate",
    commonName: 'ads',
    uris: [spiffe.ads(settings.trustDomain)],
    dns: [sni.ads(settings.trustDomain)],
    purposes: ['server'],
    ...leaf(settings.lifetimes.identity),
  }
}

/** The certificate with which a client, such as Thanos Query, opens the internal ports that speak mutual TLS. */
export function clientSpec(settings: Settings, client: ClientName): CertificateSpec {
  return {
    name: `the certificate of client ${client}`,
    commonName: `client ${client}`,
    uris: [spiffe.client(settings.trustDomain, client)],
    dns: [],
    purposes: ['client'],
    ...leaf(settings.lifetimes.identity),
  }
}

/** The certificate with which an Envoy of `owner` opens ADS. */
export function credentialSpec(settings: Settings, owner: Owner, generation: number): CertificateSpec {
  return {
    name: `the ADS credential of ${owner}`,
    commonName: `ads-client ${owner}`,
    uris: [spiffe.adsClient(settings.trustDomain, owner, generation)],
    dns: [],
    purposes: ['client'],
    lifetime: settings.lifetimes.credential,
    renewal: 1 / 2,
  }
}

function leaf(lifetime: number): Pick<CertificateSpec, 'lifetime' | 'renewal'> {
  return {lifetime, renewal: TWO_THIRDS}
}

function authority(name: string, commonName: string, lifetime: number): Omit<CertificateSpec, 'purposes'> {
  return {name, commonName, uris: [], dns: [], ca: {pathLength: 0, isRoot: false}, lifetime, renewal: TWO_THIRDS}
}
