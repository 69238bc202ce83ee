/** What `cluster values` prints in each format: data, a message, and the result of `--json`. bootstrap-files.ts writes the format `bootstrap`. */
import {renderYaml} from '../../manifest/yaml.js'
import {AtlasError} from '../../model/errors.js'
import {objectNames} from '../../model/names.js'
import type {Joining} from '../../ops/cluster/values.js'
import {type Format, type ReleaseFlags, releaseNamespace, releaseOf} from '../flags/release.js'
import {chartRemark} from './joining.js'

export type ValuesJson =
  | {format: 'bootstrap'; cluster: string; directory: string; files: readonly string[]; kept: readonly string[]}
  | {format: 'raw'; cluster: string; values: Readonly<Record<string, unknown>>}
  | {format: Exclude<Format, 'bootstrap' | 'raw'>; cluster: string; manifest: string}

export interface PrintedValues {
  readonly data?: string
  readonly message?: string
  readonly json: ValuesJson
}

/**
 * @param shown whether a person or a log could see stdout: a terminal, or `--json`
 * @throws AtlasError `invalid` for a private key that would be shown without `--show-secrets`, or the first wrong flag
 */
export function renderClusterValues(
  found: Joining,
  format: Exclude<Format, 'bootstrap'>,
  flags: ReleaseFlags & {readonly 'show-secrets': boolean},
  {version, shown}: {readonly version: string; readonly shown: boolean},
): PrintedValues {
  const {owner} = found
  const secret = objectNames.credential(owner)
  switch (format) {
    case 'raw': {
      const values = found.values()
      const message = `\nThe values refer to Secret ${secret}; "--format secret" prints it.`
      // piped into Helm, the message would appear between Helm's own lines
      return {data: renderYaml(values), ...(process.stdout.isTTY && {message}), json: {format, cluster: owner, values}}
    }

    case 'manifest':
    case 'secret': {
      if (shown && !flags['show-secrets'])
        throw new AtlasError('invalid', 'refusing to print a private key to a terminal or as JSON', {
          hint: 'pipe the output into "kubectl apply --server-side -f -", or add --show-secrets',
        })
      const namespace = releaseNamespace(flags, found.namespace)
      const manifest = format === 'secret' ? found.secret(namespace) : found.secrets(namespace)
      return {data: manifest, json: {format, cluster: owner, manifest}}
    }

    default: {
      const wanted = releaseOf(flags, format, owner, {version, namespace: found.namespace})
      const manifest = found.release(wanted)
      const needs = `\nThe release needs Secret ${secret} in namespace ${wanted.release.namespace} of that cluster; "--format secret" prints it.`
      const remark = flags.chart === undefined ? chartRemark(version, toRegistry) : []
      return {data: manifest, message: [needs, ...remark].join('\n'), json: {format, cluster: owner, manifest}}
    }
  }
}

function toRegistry(file: string): string {
  return `push the file ${file} to a registry of your own, and name that with --chart`
}
