/**
 * proto/ holds our own subset of the xDS API; a wrong number or type there would be silent on the wire.
 * Every field is compared with the full protos that @grpc/grpc-js-xds ships (the API of Envoy 1.31). What is newer stands in `newer`
 * with the Envoy version that brought it, and is proved by a real Envoy (test/envoy/validate.envoy.test.ts reads it in binary form).
 */
import {existsSync, globSync} from 'node:fs'
import {createRequire} from 'node:module'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import protobuf from 'protobufjs'
import {envoyVersions} from '../helpers/envoy-program.js'

const OURS = join(dirname(fileURLToPath(import.meta.url)), '../../proto')
const require = createRequire(import.meta.url)
const XDS = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps')
const FULL = ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'].map(folder => join(XDS, folder))
const GOOGLE = dirname(require.resolve('protobufjs/package.json'))

/** Messages, enums and fields that Envoy's API of 1.31 does not have yet. */
const newer: Record<string, string> = {
  'envoy.config.rbac.v3.Principal.custom': '1.34',
  'envoy.extensions.bootstrap.reverse_tunnel.downstream_socket_interface.v3.DownstreamReverseConnectionSocketInterface': '1.36',
  'envoy.extensions.bootstrap.reverse_tunnel.upstream_socket_interface.v3.UpstreamReverseConnectionSocketInterface': '1.36',
  'envoy.extensions.clusters.common.dns.v3.DnsLookupFamily': '1.33',
  'envoy.extensions.clusters.dns.v3.DnsCluster': '1.33',
  'envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate': '1.33',
  'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit.max_dynamic_descriptors': '1.35',
  'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit.rate_limits': '1.33',
  'envoy.extensions.filters.http.lua.v3.Lua.clear_route_cache': '1.34',
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig.query_timeout_seconds': '1.35',
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig.query_tries': '1.35',
  'envoy.extensions.rbac.principals.mtls_authenticated.v3.Config': '1.34',
}

describe('proto: our subset of the xDS API', () => {
  const files = globSync('**/*.proto', {cwd: OURS}).sort()
  const ours = load([OURS], files)
  const full = load(
    FULL,
    files.filter(file => FULL.some(folder => existsSync(join(folder, file)))),
  )
  const types = everything(ours).filter(object => object instanceof protobuf.Type)
  const enums = everything(ours).filter(object => object instanceof protobuf.Enum)

  it('is found, and so is what it is compared with', () => {
    expect(types.length).to.be.greaterThan(80)
    expect(enums.length).to.be.greaterThan(8)
    expect(describeField(fieldOf(full, 'envoy.config.cluster.v3.Cluster.connect_timeout'))).to.equal('google.protobuf.Duration = 4')
  })

  for (const type of types) {
    const name = nameOf(type)
    if (name in newer) continue
    it(`${name} has the fields of the full API`, () => {
      const theirs = full.lookup(name, protobuf.Type)
      expect(theirs, `${name} is not in the full API; is it newer than Envoy 1.31?`).to.be.instanceOf(protobuf.Type)
      for (const field of type.fieldsArray) {
        if (`${name}.${field.name}` in newer) continue
        expect(describeField(field.resolve()), `${name}.${field.name}`).to.equal(describeField(fieldOf(full, `${name}.${field.name}`)))
      }
    })
  }

  for (const type of enums) {
    const name = nameOf(type)
    if (name in newer) continue
    it(`${name} has the values of the full API`, () => {
      const theirs = full.lookupEnum(name)
      for (const [value, number] of Object.entries(type.values)) expect(theirs.values[value], `${name}.${value}`).to.equal(number)
    })
  }

  it('uses no field that was deprecated in Envoy 1.31', () => {
    for (const type of types.filter(each => !(nameOf(each) in newer)))
      for (const field of type.fieldsArray.filter(each => !(`${nameOf(type)}.${each.name}` in newer)))
        expect(fieldOf(full, `${nameOf(type)}.${field.name}`).options?.['deprecated'], `${nameOf(type)}.${field.name}`).to.not.equal(true)
  })

  it('has no field that the oldest Envoy in use does not know: such a one would have to depend on the version of the node', () => {
    const minorOf = (version: string) => Number(version.split('.')[1])
    for (const [name, since] of Object.entries(newer)) expect(minorOf(since), name).to.be.at.most(minorOf(envoyVersions[0]))
  })

  it('lists as newer only what the full API lacks and we have', () => {
    for (const name of Object.keys(newer)) {
      const [owner, last] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)]
      const isField = ours.lookup(owner, protobuf.Type) instanceof protobuf.Type && last === last.toLowerCase()
      expect(isField ? fieldOf(ours, name) : ours.lookup(name), `${name} in proto/`).to.not.equal(null)
      expect(isField ? full.lookupType(owner).fields[last] : full.lookup(name), `${name} in the full API`).to.be.oneOf([undefined, null])
    }
  })
})

function load(folders: readonly string[], files: readonly string[]): protobuf.Root {
  const root = new protobuf.Root()
  root.resolvePath = (_origin, target) => {
    if (protobuf.common.get(target) !== null) return null
    return [...folders, GOOGLE].map(folder => join(folder, target)).find(path => existsSync(path)) ?? target
  }
  return root.loadSync([...files], {keepCase: true})
}

function everything(space: protobuf.NamespaceBase): readonly protobuf.ReflectionObject[] {
  return space.nestedArray
    .flatMap(object => (object instanceof protobuf.Namespace ? [object, ...everything(object)] : [object]))
    .filter(object => !object.fullName.startsWith('.google.protobuf.'))
}

function nameOf(object: protobuf.ReflectionObject): string {
  return object.fullName.slice(1)
}

function fieldOf(root: protobuf.Root, name: string): protobuf.Field {
  const field = root.lookupType(name.slice(0, name.lastIndexOf('.'))).fields[name.slice(name.lastIndexOf('.') + 1)]
  if (field === undefined) throw new Error(`${name} is not in the full API; is it newer than Envoy 1.31?`)
  return field.resolve()
}

/** Number, type, label and oneof: all that decides the bytes. The name is what the field was found by. */
function describeField(field: protobuf.Field): string {
  const type = field.resolvedType === null ? field.type : nameOf(field.resolvedType)
  const label = field instanceof protobuf.MapField ? `map<${field.keyType}, ${type}>` : field.repeated ? `repeated ${type}` : type
  return `${label} = ${String(field.id)}${field.partOf === null ? '' : ` in oneof ${field.partOf.name}`}`
}
