/** Decodes the text of a kubeconfig. files.ts decides which files are read, select.ts which entries are used. */
import path from 'node:path'
import {parseKubectlYaml} from '../../../manifest/yaml.js'
import {AtlasError, quote} from '../../../model/errors.js'
import {SecretText} from '../../../model/secret.js'
import {type Reader, anything, data, flag, listOf, mapOf, named, record, text} from './shape.js'

/** Texts are empty, lists and maps without entries, where the file has nothing. Paths are absolute. */
export interface Kubeconfig {
  readonly currentContext: string
  readonly contexts: ReadonlyMap<string, ContextEntry>
  readonly clusters: ReadonlyMap<string, KubeconfigCluster>
  readonly users: ReadonlyMap<string, UserEntry>
}

export interface ContextEntry {
  readonly cluster: string
  readonly user: string
}

export interface KubeconfigCluster {
  readonly server: string
  readonly tlsServerName: string
  readonly isUnverified: boolean
  readonly caFile: string
  readonly ca: string
  readonly proxyUrl: string
  readonly isUncompressed: boolean
  readonly extensions: ReadonlyMap<string, unknown>
}

export interface UserEntry {
  readonly certificateFile: string
  readonly certificate: string
  readonly keyFile: string
  readonly key: SecretText
  readonly token: SecretText
  readonly tokenFile: string
  readonly username: string
  readonly password: SecretText
  readonly impersonated: Impersonated
  readonly authProvider: {readonly name: string; readonly config: ReadonlyMap<string, string>} | undefined
  readonly exec: ExecEntry | undefined
}

/** The user whose rights a request has, where it is not the user who sends it. */
export interface Impersonated {
  readonly user: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: ReadonlyMap<string, readonly string[]>
}

/** A program that gives credentials (exec plug-in). */
export interface ExecEntry {
  readonly apiVersion: string
  /** A path, or a name to be looked for on PATH. */
  readonly command: string
  readonly args: readonly string[]
  readonly env: readonly {readonly name: string; readonly value: string}[]
  readonly installHint: string
  readonly isGivenCluster: boolean
  readonly interactiveMode: string
}

/**
 * Decodes the whole file, as client-go does: a malformed entry is an error even if another entry is used.
 * @param directory that relative paths in it start from
 * @throws AtlasError `invalid`; never with a part of the text, which may be a key
 */
export function decodeKubeconfig(content: string, directory: string): Kubeconfig {
  const {apiVersion, kind, preferences: _, ...kubeconfig} = fileReader(directory)(parseKubectlYaml(content), '')
  if (!['', 'v1'].includes(apiVersion) || !['', 'Config'].includes(kind))
    throw new AtlasError('invalid', `it is a ${quote(kind)} of version ${quote(apiVersion)}, not a Config of version v1`)
  return kubeconfig
}

interface File extends Kubeconfig {
  readonly apiVersion: string
  readonly kind: string
  readonly preferences: {readonly colors: boolean}
}

function fileReader(directory: string): Reader<File> {
  const file: Reader<string> = (value, at) => resolved(text(value, at), directory)
  return record({
    apiVersion: ['apiVersion', text],
    kind: ['kind', text],
    currentContext: ['current-context', text],
    contexts: ['contexts', named('context', context)],
    clusters: ['clusters', named('cluster', clusterReader(file))],
    users: ['users', named('user', userReader(file, directory))],
    preferences: ['preferences', record({colors: ['colors', flag]})],
  })
}

const context: Reader<ContextEntry> = record({cluster: ['cluster', text], user: ['user', text]})

function clusterReader(file: Reader<string>): Reader<KubeconfigCluster> {
  return record({
    server: ['server', text],
    tlsServerName: ['tls-server-name', text],
    isUnverified: ['insecure-skip-tls-verify', flag],
    caFile: ['certificate-authority', file],
    ca: ['certificate-authority-data', data],
    proxyUrl: ['proxy-url', text],
    isUncompressed: ['disable-compression', flag],
    extensions: ['extensions', named('extension', anything)],
  })
}

const secret: Reader<SecretText> = (value, at) => new SecretText(text(value, at))

function userReader(file: Reader<string>, directory: string): Reader<UserEntry> {
  const user = record<Omit<UserEntry, 'impersonated'>>({
    certificateFile: ['client-certificate', file],
    certificate: ['client-certificate-data', data],
    keyFile: ['client-key', file],
    key: ['client-key-data', (value, at) => new SecretText(data(value, at))],
    token: ['token', secret],
    tokenFile: ['tokenFile', file],
    username: ['username', text],
    password: ['password', secret],
    authProvider: ['auth-provider', optional(record({name: ['name', text], config: ['config', mapOf(text)]}))],
    exec: ['exec', optional(execReader(directory))],
  })
  return (value, at) => ({...user(value, at), impersonated: impersonated(value, at)})
}

const impersonated: Reader<Impersonated> = record({
  user: ['as', text],
  uid: ['as-uid', text],
  groups: ['as-groups', listOf(text)],
  extra: ['as-user-extra', mapOf(listOf(text))],
})

function execReader(directory: string): Reader<ExecEntry> {
  const reader = record<ExecEntry>({
    apiVersion: ['apiVersion', text],
    // A name without a slash is looked for on PATH.
    command: ['command', (value, at) => (text(value, at).includes(path.sep) ? resolved(text(value, at), directory) : text(value, at))],
    args: ['args', listOf(text)],
    env: ['env', listOf(record({name: ['name', text], value: ['value', text]}))],
    installHint: ['installHint', text],
    isGivenCluster: ['provideClusterInfo', flag],
    interactiveMode: ['interactiveMode', text],
  })
  return (value, at) => {
    const exec = reader(value, at)
    const mode = exec.interactiveMode === '' && exec.apiVersion.endsWith('/v1beta1') ? 'IfAvailable' : exec.interactiveMode
    return {...exec, interactiveMode: mode}
  }
}

function optional<T>(reader: Reader<T>): Reader<T | undefined> {
  return (value, at) => (value === null || value === undefined ? undefined : reader(value, at))
}

function resolved(file: string, directory: string): string {
  return file === '' ? '' : path.resolve(directory, file)
}
