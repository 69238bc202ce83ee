/** The objects of goatlas in a namespace: the files of test/fixtures/goatlas with certificates, zone and owners filled in. */
import {readFileSync} from 'node:fs'
import {type Manifest, encodeBase64, keyOf, parseManifest} from '../../src/lib/manifest/manifest.js'
import {parseYaml} from '../../src/lib/manifest/yaml.js'
import type {CertifiedKey} from '../../src/lib/model/authority.js'
import type {GoatlasAuthority} from './goatlas.js'

/** All of them, or those of some files, in an order that an API server accepts: registrations first. */
export function goatlasObjects(
  authority: GoatlasAuthority,
  files: readonly GoatlasFile[] = ['registrations', 'derived', 'coredns', 'secrets'],
): readonly Manifest[] {
  return files.flatMap(file => documentsIn(file)).map(manifest => filled(manifest, authority))
}

export type GoatlasFile = 'coredns' | 'derived' | 'registrations' | 'secrets'

/** The zone as goatlas's controller wrote it. */
export const goatlasZone = textOf('zone.txt')

/** The zone as goatlas's chart installed it, before the controller wrote one. */
export const goatlasChartZone = textOf('zone-of-the-chart.txt')

function textOf(name: string): string {
  return readFileSync(new URL(`../fixtures/goatlas/${name}`, import.meta.url), 'utf8')
}

function documentsIn(file: GoatlasFile): readonly Manifest[] {
  return textOf(`${file}.yaml`)
    .split(/^---\n/m)
    .map(text => parseManifest(parseYaml(text)))
}

function filled(manifest: Manifest, {ca, server, client}: GoatlasAuthority): Manifest {
  switch (keyOf(manifest)) {
    case 'Secret/atlas-ca': {
      return {...manifest, data: {'ca.pem': encodeBase64(ca.certificate), 'ca-key.pem': encodeBase64(ca.key.reveal())}}
    }

    case 'Secret/atlas-server': {
      return {...manifest, data: tls(server, ca)}
    }

    case 'Secret/atlas-client': {
      return {...manifest, data: tls(client, ca)}
    }

    case 'ConfigMap/atlas-atlas-coredns': {
      return {...manifest, data: {...manifest.data, 'atlas.zone': goatlasZone}}
    }

    default: {
      return manifest
    }
  }
}

function tls({certificate, key}: CertifiedKey, ca: CertifiedKey): Readonly<Record<string, string>> {
  return {'ca.crt': encodeBase64(ca.certificate), 'tls.crt': encodeBase64(certificate), 'tls.key': encodeBase64(key.reveal())}
}
