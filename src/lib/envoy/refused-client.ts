/**
 * The Lua filter of 10900 and 10903 that asks a client which is refused to open a new connection for its next request. An Envoy that has a
 * newer credential or identity goes on asking with the one that its open connection began with; the new connection begins with the newer one.
 */
import {create} from '@bufbuild/protobuf'
import {LuaSchema} from '../../gen/envoy/extensions/filters/http/lua/v3/lua_pb.js'
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {extension} from './core.js'

/** gRPC's PERMISSION_DENIED, with which the ADS server refuses a credential, and Envoy's RBAC filter a name. */
const PERMISSION_DENIED = 7

/** gRPC's PERMISSION_DENIED is 403 for a request that is not gRPC. Other streams of the connection go on: Envoy sends GOAWAY when the refused one has ended. */
export function refusedClientFilter(): HttpFilter {
  return create(
    HttpFilterSchema,
    extension('atlas.refused', LuaSchema, {defaultSourceCode: {specifier: {case: 'inlineString', value: script}}}),
  )
}

/** Envoy has `drainConnectionUponCompletion` from 1.37 on; with 1.36 such a client stays on its connection until that ends. */
const script = `
function envoy_on_response(handle)
  local headers = handle:headers()
  if headers:get("grpc-status") ~= "${PERMISSION_DENIED}" and headers:get(":status") ~= "403" then return end
  pcall(function() handle:streamInfo():drainConnectionUponCompletion() end)
end
`
