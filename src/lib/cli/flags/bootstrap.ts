/** `cluster values --format bootstrap`: what the Envoy that is to be started is told of its machine. */
import {Flags} from '@oclif/core'
import type {BootstrapOptions} from '../../envoy/bootstrap.js'
import {type HostPort, parseAddress, parseHostPort, parsePort} from '../../model/address.js'
import {invalid} from '../../model/errors.js'
import {parseNodeId} from '../../model/node.js'
import {present} from './common.js'

export const bootstrapFlags = {
  output: Flags.string({
    description: 'directory to write the bootstrap and its files into, mode 0600',
    helpGroup: 'BOOTSTRAP',
    helpValue: 'DIR',
  }),
  'envoy-directory': Flags.string({
    description: 'where the files will stand on the machine that Envoy runs on (default: the full path of --output)',
    helpGroup: 'BOOTSTRAP',
    helpValue: 'DIR',
  }),
  'node-id': Flags.string({
    description: "which of the cluster's Envoys it is (default <cluster>-0)",
    helpGroup: 'BOOTSTRAP',
    helpValue: 'ID',
  }),
  'bind-address': Flags.string({
    description: 'where its ports for other clusters bind (default 0.0.0.0)',
    helpGroup: 'BOOTSTRAP',
    helpValue: 'IP',
  }),
  'local-address': Flags.string({
    description: 'where its plaintext ports bind (default 127.0.0.1)',
    helpGroup: 'BOOTSTRAP',
    helpValue: 'IP',
  }),
  port: Flags.string({
    description: 'listen elsewhere, such as 11901=21901; may be repeated',
    helpGroup: 'BOOTSTRAP',
    helpValue: 'PORT=LISTENED',
    multiple: true,
  }),
  admin: Flags.string({
    description: "where Envoy's own admin pages answer, a loopback address (default 127.0.0.1:9901)",
    helpGroup: 'BOOTSTRAP',
    helpValue: 'IP:PORT',
  }),
}

/** What the flags of `bootstrapFlags` parse to. */
export interface BootstrapFlags {
  readonly 'node-id'?: string | undefined
  readonly 'bind-address'?: string | undefined
  readonly 'local-address'?: string | undefined
  readonly port?: readonly string[] | undefined
  readonly admin?: string | undefined
}

/** @throws AtlasError `invalid` for the first flag that can't be */
export function bootstrapOptions(flags: BootstrapFlags, cluster: string, directory: string): Omit<BootstrapOptions, 'owner'> {
  return {
    nodeId: parseNodeId(flags['node-id'] ?? `${cluster}-0`),
    directory,
    ...present({
      bindAddress: flags['bind-address'] === undefined ? undefined : parseIp(flags['bind-address'], '--bind-address'),
      localAddress: flags['local-address'] === undefined ? undefined : parseIp(flags['local-address'], '--local-address'),
      ports: flags.port === undefined ? undefined : parseListenedPorts(flags.port),
      admin: flags.admin === undefined ? undefined : parseAdmin(flags.admin),
    }),
  }
}

/** Envoy's admin pages show secrets and can stop it (defect D5 of the 2021 program). */
function parseAdmin(text: string): HostPort {
  const admin = parseHostPort(text, '--admin')
  if (!admin.host.startsWith('127.') && admin.host !== '::1')
    throw invalid('--admin', "a loopback address, such as 127.0.0.1:9901: Envoy's admin pages show secrets", text)
  return admin
}

function parseIp(text: string, flag: string): string {
  const address = parseAddress(text)
  if (address.kind === 'dns') throw invalid(flag, 'an IP address', text)
  return address.host
}

function parseListenedPorts(entries: readonly string[]): ReadonlyMap<number, number> {
  const pairs = entries
    .flatMap(entry => entry.split(','))
    .map((entry): [number, number] => {
      const [from = '', to = '', ...rest] = entry.trim().split('=')
      if (rest.length > 0) throw invalid('--port', 'PORT=LISTENED, such as 11901=21901', entry)
      return [parsePort(from, '--port'), parsePort(to, '--port')]
    })
  return new Map(pairs)
}
