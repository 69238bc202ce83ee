/** The messages that all others contain: Duration, Any, Address, ConfigSource (mostly of `envoy.config.core.v3`), and how an extension is named. */
import {create, type DescMessage, type MessageInitShape, type MessageShape} from '@bufbuild/protobuf'
import {type Any, type Duration, DurationSchema} from '@bufbuild/protobuf/wkt'
import {type Address, AddressSchema} from '../../gen/envoy/config/core/v3/address_pb.js'
import {ApiVersion, type ConfigSource, ConfigSourceSchema} from '../../gen/envoy/config/core/v3/config_source_pb.js'
import {toAny, toResource} from '../xds/resource.js'
import type {Resource} from '../xds/snapshot.js'

/** Seconds, to the millisecond. */
export function duration(seconds: number): Duration {
  const milliseconds = Math.round(seconds * 1000)
  return create(DurationSchema, {seconds: BigInt(Math.floor(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1_000_000})
}

/** The message as a resource with the message's name. */
export function resourceOf<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc> & {readonly name: string}): Resource {
  return toResource(message.name, schema, message)
}

/** A message in an Any. */
export function pack<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Any {
  return toAny(schema, create(schema, message))
}

/** A named extension: filter, transport socket, access logger. */
export function extension<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  message: MessageInitShape<Desc>,
): {name: string; configType: {case: 'typedConfig'; value: Any}} {
  return {name, configType: {case: 'typedConfig', value: pack(schema, message)}}
}

/** `host` is an IP address, or a DNS name where Envoy resolves names. `::` accepts IPv4 as well. */
export function socketAddress(host: string, port: number): Address {
  return create(AddressSchema, {
    address: {case: 'socketAddress', value: {address: host, portSpecifier: {case: 'portValue', value: port}, ipv4Compat: host === '::'}},
  })
}

/** Over ADS, with Envoy's default wait of 15 s: a snapshot never refers to a resource that it doesn't have, so the wait ends early. */
export const fromAds: ConfigSource = create(ConfigSourceSchema, {
  configSourceSpecifier: {case: 'ads', value: {}},
  resourceApiVersion: ApiVersion.V3,
})
