import {create, fromBinary, type JsonObject} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {ClusterSchema} from '../../src/gen/envoy/config/cluster/v3/cluster_pb.js'
import {NodeSchema} from '../../src/gen/envoy/config/core/v3/base_pb.js'
import {SubstitutionFormatStringSchema} from '../../src/gen/envoy/config/core/v3/substitution_format_string_pb.js'
import {RBACSchema, RBAC_Action} from '../../src/gen/envoy/config/rbac/v3/rbac_pb.js'
import {SecretSchema} from '../../src/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js'
import {toAny, toResource, typeUrlOf} from '../../src/lib/xds/resource.js'

describe('xds/resource', () => {
  it('names the type', () => {
    expect(typeUrlOf(ClusterSchema)).to.equal('type.googleapis.com/envoy.config.cluster.v3.Cluster')
    expect(toResource('a', ClusterSchema, create(ClusterSchema, {name: 'a'})).typeUrl).to.equal(typeUrlOf(ClusterSchema))
  })

  it('gives equal content an equal version, in whichever order its maps were filled', () => {
    const rules = (names: readonly string[]) => create(RBACSchema, {policies: Object.fromEntries(names.map(name => [name, {}]))})
    const [a, b] = [toResource('r', RBACSchema, rules(['x', 'a', 'm'])), toResource('r', RBACSchema, rules(['m', 'x', 'a']))]
    expect(a).to.deep.equal(b)
    expect(Object.keys(fromBinary(RBACSchema, a.body).policies)).to.deep.equal(['a', 'm', 'x'])
  })

  it('sorts maps inside lists, oneofs and Structs too', () => {
    const format = (json: JsonObject) =>
      toAny(SubstitutionFormatStringSchema, create(SubstitutionFormatStringSchema, {format: {case: 'jsonFormat', value: json}}))
    expect(format({b: {d: 1, c: [{f: 1, e: 2}]}, a: 1}).value).to.deep.equal(format({a: 1, b: {c: [{e: 2, f: 1}], d: 1}}).value)
    const node = (metadata: JsonObject) => toAny(NodeSchema, create(NodeSchema, {id: 'n', metadata}))
    expect(node({z: 1, a: 2}).value).to.deep.equal(node({a: 2, z: 1}).value)
  })

  it('gives other content another version, 16 characters long', () => {
    const [a, b] = [
      toResource('r', RBACSchema, create(RBACSchema)),
      toResource('r', RBACSchema, create(RBACSchema, {action: RBAC_Action.DENY})),
    ]
    expect(a.version).to.match(/^[\w-]{16}$/)
    expect(a.version).to.not.equal(b.version)
  })

  it('does not change the message that it gets', () => {
    const message = create(RBACSchema, {policies: {b: {}, a: {}}})
    toResource('r', RBACSchema, message)
    expect(Object.keys(message.policies)).to.deep.equal(['b', 'a'])
  })

  it('encodes messages without maps, empty ones too', () => {
    expect(toResource('s', SecretSchema, create(SecretSchema)).body).to.have.length(0)
  })
})
