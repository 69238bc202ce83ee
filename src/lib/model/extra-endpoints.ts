/**
 * Endpoints of a Thanos Query that are not Atlas's: copied into the endpoints file, since Thanos Query reads one file. Their form is that of
 * `--endpoint.sd-config-file` (Thanos 0.42; cmd/thanos/endpointset.go). Files are named, and keys are never written here.
 */
import {AtlasError, invalid, quote} from './errors.js'

/** One entry, as it stands in the file; `parseExtraEndpoints` accepted it. */
export type ExtraEndpoint = Readonly<Record<string, unknown>> & {readonly address: string}

/** All of them share a ConfigMap with Atlas's own endpoints. */
const ENTRIES_MAX = 500
const TEXT_MAX = 65_536
const VALUE_MAX = 8192

type Rule = (value: unknown, what: string) => void

const text: Rule = (value, what) => {
  if (typeof value !== 'string' || value === '' || value.length > VALUE_MAX) throw new AtlasError('invalid', `${what} must be a text`)
}
const flag: Rule = (value, what) => {
  if (typeof value !== 'boolean') throw new AtlasError('invalid', `${what} must be true or false`)
}
const file: Rule = (value, what) => {
  text(value, what)
  if (/-----BEGIN|\n/.test(String(value))) throw new AtlasError('invalid', `${what} must be the path of a file that Thanos Query can read`)
}
const compression: Rule = (value, what) => {
  if (value !== 'none' && value !== 'snappy') throw new AtlasError('invalid', `${what} must be none or snappy`)
}

const tls = {enabled: flag, insecure_skip_verify: flag, cert_file: file, key_file: file, ca_file: file, min_version: text}
const client = {tls_config: fields(tls), server_name: text, compression}
const entry = fields({address: text, strict: flag, group: flag, service_config: text, client_config: fields(client)})

/**
 * The entries of a list, or of a whole file (`endpoints: […]`).
 * @throws AtlasError `invalid`, naming the entry
 */
export function parseExtraEndpoints(value: unknown, what = 'the extra endpoints'): readonly ExtraEndpoint[] {
  const isFile = isRecord(value) && Object.keys(value).join() === 'endpoints'
  const list = isFile ? value['endpoints'] : value
  if (!Array.isArray(list))
    throw new AtlasError('invalid', `${what} must be a list of endpoints, as in the file of --endpoint.sd-config-file`)
  if (list.length > ENTRIES_MAX || JSON.stringify(list).length > TEXT_MAX)
    throw new AtlasError('invalid', `${what} must be at most ${ENTRIES_MAX} entries and ${TEXT_MAX} bytes`)
  const addresses = new Set<string>()
  return list.map((each: unknown, index) => {
    const address = isRecord(each) ? each['address'] : undefined
    const name = `entry ${index + 1} of ${what}${typeof address === 'string' ? ` (${quote(address)})` : ''}`
    entry(each, name)
    const checked = each as ExtraEndpoint
    checkAddress(checked, name)
    if (addresses.has(checked.address)) throw new AtlasError('invalid', `${name} has the address of an entry before it`)
    addresses.add(checked.address)
    return checked
  })
}

/** What Thanos Query itself refuses, or would leave without effect. */
function checkAddress(
  {address, strict, group, service_config: serviceConfig, client_config: clientConfig}: ExtraEndpoint,
  name: string,
): void {
  const isLookedUp = /^dns(srv|srvnoa|dualstack)?\+/.test(address)
  const [target = ''] = address.split('+').slice(-1)
  const isAddress = /^[!-~]+:[0-9]{1,5}$/.test(target) || (/^dnssrv(noa)?\+/.test(address) && /^[!-~]+$/.test(target))
  if (!isAddress)
    throw invalid(`the address of ${name}`, 'HOST:PORT, or a name with dns+, dnssrv+, dnssrvnoa+ or dnsdualstack+ in front', address)
  if (isLookedUp && strict === true)
    throw new AtlasError('invalid', `${name} is looked up in DNS, and Thanos Query takes no such address with "strict"`)
  if (group !== true && serviceConfig !== undefined)
    throw new AtlasError('invalid', `${name} has "service_config", which only a group may have`)
  if (isLookedUp && group !== true && clientConfig !== undefined)
    throw new AtlasError('invalid', `${name} is looked up in DNS, and Thanos Query ignores "client_config" for it`, {
      hint: 'list the addresses one by one, or set "group: true"',
    })
}

/** An object with these fields and no others. */
function fields(rules: Readonly<Record<string, Rule>>): Rule {
  return (value, what) => {
    if (!isRecord(value)) throw new AtlasError('invalid', `${what} must be an object with ${Object.keys(rules).join(', ')}`)
    for (const [key, field] of Object.entries(value)) {
      const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
      if (rule === undefined)
        throw new AtlasError('invalid', `${what} has an unknown field ${quote(key)}; known are ${Object.keys(rules).join(', ')}`, {
          hint: 'certificates and keys are named by their files (cert_file, key_file, ca_file), never written into the list',
        })
      rule(field, `${key} of ${what}`)
    }

    if ('address' in rules && value['address'] === undefined) throw new AtlasError('invalid', `${what} has no address`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
