/**
 * The Lua filter of the listeners for web pages: takes the prefix off a request's path, lets listed request headers pass alone, removes
 * response headers that act beyond a page and trailers of both directions, and keeps redirects below the prefix. Which cluster a request belongs to, the scopes decide
 * (page-route.ts). No other filter of Envoy has a list of headers that may pass.
 */
import {create} from '@bufbuild/protobuf'
import {LuaSchema} from '../../gen/envoy/extensions/filters/http/lua/v3/lua_pb.js'
import {
  type HttpFilter,
  HttpFilterSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js'
import {extension} from './core.js'
import {envoyNames} from '../model/names.js'

/** Which scope a request belongs to, in a header that Envoy sets itself before it chooses the scope; a client's own is overwritten. */
export const SCOPE_HEADER = 'x-atlas-page'
/** The host name, where that chooses the scope. */
export const SCOPE_HOST_HEADER = 'x-atlas-page-host'
/** Values of `SCOPE_HEADER`: as a path, since the scope's key is cut from it at "/". */
export const byHost = '/host/-'
export const startPage = '/atlas/start'

/** The dynamic metadata in which the filter keeps the prefix of a request, for its response and for the access log; and its port. */
export const PAGE_METADATA = 'atlas.page'
/** The metadata of a route from which the filter reads below which path the page stands at its own address. */
export const LUA_FILTER = 'envoy.filters.http.lua'

/** Request headers that pass, besides `content-…`, `if-…` and those of HTTP and of Envoy itself. */
const passing = [
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'range',
  'user-agent',
  'x-requested-with',
  'x-forwarded-proto', // without it Envoy finds no route (docs/explanation/envoy.md#web-pages)
  'x-request-id',
]

/**
 * Response headers with which a page would act on other pages, on the login, on the browser as a whole, or on a web server in front, which
 * X-Accel-Redirect and X-Sendfile send to another page or file; and `access-control-…` and `x-accel-…`.
 */
const removed = [
  'alt-svc',
  'clear-site-data',
  'nel',
  'proxy-authenticate',
  'public-key-pins',
  'refresh',
  'report-to',
  'reporting-endpoints',
  'service-worker-allowed',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'www-authenticate',
  'x-sendfile',
]

/** Envoy passes a request on as it is where a script fails, with every login in it; so the script catches its own failures and refuses the request. */
export function pageFilter(): HttpFilter {
  return create(
    HttpFilterSchema,
    extension(LUA_FILTER, LuaSchema, {
      defaultSourceCode: {specifier: {case: 'inlineString', value: script}},
      clearRouteCache: false, // the route was chosen by the headers that the script changes
    }),
  )
}

const set = (names: readonly string[]): string => names.map(name => `["${name}"] = true`).join(', ')

const script = `
local passing = {${set(passing)}}
local removed = {${set(removed)}}

local function passes(name)
  return passing[name] or name:sub(1, 1) == ":" or name:sub(1, 8) == "content-" or name:sub(1, 3) == "if-"
end

local function isRemoved(name)
  return removed[name] or name:sub(1, 15) == "access-control-" or name:sub(1, 8) == "x-accel-"
end

-- Not while iterating: Envoy forbids it.
local function remove(headers, isUnwanted)
  local names = {}
  for name in pairs(headers) do
    if isUnwanted(name) then names[#names + 1] = name end
  end
  for _, name in ipairs(names) do headers:remove(name) end
end

-- The prefix of a page's path and what follows it; nothing where the path is none of a page.
local function split(scope, path)
  if scope == "${byHost}" then
    local prefix, rest = path:match("^(/%d+)(.*)$")
    if prefix and (rest == "" or rest:sub(1, 1) == "/") then return prefix, rest end
    return "", path
  end
  local prefix, rest = path:match("^(/[^/]+/[^/]+/%d+)(.*)$")
  if prefix and (rest == "" or rest:sub(1, 1) == "/") then return prefix, rest end
  return path:match("^(/[^/]+/[^/]+)(.*)$")
end

-- A page of another site, or of another cluster, must not act with the user's login (Fetch Metadata, Sec-Fetch-Site).
local function isForged(headers)
  local method, site = headers:get(":method"), headers:get("sec-fetch-site")
  return method ~= "GET" and method ~= "HEAD" and site ~= nil and site ~= "same-origin" and site ~= "none"
end

-- Kept for the address of the start page in a local reply (local-reply.ts): rewrite replaces the host of a request for a page.
local function notePort(handle, headers)
  local port = headers:get(":authority"):match(":%d+$")
  if port then handle:streamInfo():dynamicMetadata():set("${PAGE_METADATA}", "port", port) end
end

-- Makes the request one for the page; or returns the status and the text with which it is refused, or the place that it is sent to.
local function rewrite(handle)
  local headers = handle:headers()
  local scope = headers:get("${SCOPE_HEADER}")
  if isForged(headers) then return 403, "Refused: this request was sent by a page of another site or cluster." end
  -- Only a stolen cluster has one, and it would stay in browsers when the cluster is clean again (Service Workers, 4.3.4).
  if headers:get("service-worker") then return 403, "Refused: pages have no service worker here." end
  -- CONNECT has no path, and fails here.
  local path, query = headers:get(":path"):match("^([^?]*)(.*)$")
  remove(headers, function(name) return not passes(name) end)
  if scope == "${startPage}" then return end
  notePort(handle, headers)
  local prefix, rest = split(scope, path)
  if not prefix then return end
  if rest == "" then return 302, "", path .. "/" .. query end
  local replica = prefix:match("/(%d+)$")
  headers:replace(":path", rest .. query)
  headers:replace(":authority", replica and "${envoyNames.pageHost()}-" .. replica or "${envoyNames.pageHost()}")
  if prefix ~= "" then headers:add("x-forwarded-prefix", prefix) end
  handle:streamInfo():dynamicMetadata():set("${PAGE_METADATA}", "prefix", prefix)
end

-- A page needs no trailers, and a cookie or login must not pass as one. Headers and body go on at once; this waits for what comes after them.
local function dropTrailers(handle)
  local trailers = handle:trailers()
  if trailers then remove(trailers, function() return true end) end
end

function envoy_on_request(handle)
  local isRewritten, status, text, location = pcall(rewrite, handle)
  if not isRewritten then status, text = 400, "Refused: this request cannot be read." end
  if location then handle:respond({[":status"] = tostring(status), location = location}, text)
  elseif status then handle:respond({[":status"] = tostring(status), ["content-type"] = "text/plain"}, text .. "\\n")
  else dropTrailers(handle) end
end

local function isBelow(path, prefix)
  return path:sub(1, #prefix) == prefix and (#path == #prefix or path:sub(#prefix + 1, #prefix + 1):match("[/?#]"))
end

-- A redirect's target as a path below the prefix, whatever host it names; own is where the page stands at its own address.
local function inside(location, prefix, own)
  local target = location:gsub("[%c%s]", ""):gsub("\\\\", "/")
  local scheme = target:match("^(%a[%w+.-]*):")
  if scheme then
    if scheme:lower() ~= "http" and scheme:lower() ~= "https" then return prefix .. "/" end
    target = target:gsub("^%a[%w+.-]*:/*[^/?#]*", "")
    if not target:match("^/") then target = "/" .. target end
  elseif target:match("^//") then
    target = target:gsub("^/+[^/?#]*", "")
    if not target:match("^/") then target = "/" .. target end
  end
  local path = target:match("^[^?#]*"):lower():gsub("%%2e", "."):gsub("%%2f", "/"):gsub("%%5c", "/")
  if ("/" .. path .. "/"):find("/../", 1, true) then return prefix .. "/" end
  if not target:match("^/") then return target end
  target = target:gsub("^/+", "/")
  -- Prometheus sends to its pages below the path of its external URL, which need not be where it answers.
  local before, query = target:match("^([^?#]*)(.*)$")
  for _, page in ipairs({"/classic/graph", "/graph", "/query", "/agent"}) do
    if before:sub(-#page) == page then return prefix .. page .. query end
  end
  if own ~= "" and isBelow(target, own) then
    -- One slash: behind a host name the prefix is empty, and a browser takes "//x" for the host x.
    return prefix .. ("/" .. target:sub(#own + 1)):gsub("^/+", "/")
  end
  if prefix ~= "" and isBelow(target, prefix) then return target end
  return prefix .. target
end

function envoy_on_response(handle)
  local headers = handle:headers()
  remove(headers, isRemoved)
  headers:replace("x-content-type-options", "nosniff")
  headers:replace("referrer-policy", "same-origin")
  -- A page of another host may not show this one in a frame and lead the user's clicks. A second policy applies beside the page's own.
  -- The page's own DENY, which is stricter, stays.
  local frames = headers:get("x-frame-options")
  if not frames or frames:upper() ~= "DENY" then headers:replace("x-frame-options", "SAMEORIGIN") end
  headers:add("content-security-policy", "frame-ancestors 'self'")
  local page = handle:streamInfo():dynamicMetadata():get("${PAGE_METADATA}")
  local location = headers:get("location")
  if page and page["prefix"] and location then
    headers:replace("location", inside(location, page["prefix"], handle:metadata():get("path") or ""))
  end
  dropTrailers(handle)
end
`
