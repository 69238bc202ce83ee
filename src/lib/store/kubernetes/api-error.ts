/** Errors of the API server as Atlas reports them: which RBAC rule is missing, which object is gone, which write conflicted. */
import {AtlasError, type ErrorCode, quote} from '../../model/errors.js'

/** A request in the terms of RBAC. */
export interface RequestInfo {
  readonly verb: 'create' | 'delete' | 'get' | 'list' | 'patch' | 'update' | 'watch'
  /** Such as `secrets`. */
  readonly resource: string
  /** API group, `` for the core. */
  readonly group: string
  readonly namespace: string
  readonly name?: string
}

/** The fields of `metav1.Status` that are read. */
interface ApiStatus {
  readonly message?: unknown
  readonly reason?: unknown
  readonly details?: {
    readonly kind?: unknown
    readonly name?: unknown
    readonly causes?: readonly {readonly field?: unknown; readonly reason?: unknown}[]
  }
}

/** A response of the API server. */
export interface ApiResponse {
  readonly code: number
  readonly body: unknown
  /** The Retry-After header, milliseconds; undefined: there is none. */
  readonly retryAfterMs?: number | undefined
}

/** An error response, with the status that callers distinguish. */
export class ApiError extends AtlasError {
  readonly status: number
  readonly retryAfterMs: number | undefined
  /** Of a missing right; undefined: the error has another reason. */
  readonly denial: Denial | undefined

  constructor({code: status, retryAfterMs}: Pick<ApiResponse, 'code' | 'retryAfterMs'>, {code, message, hint, denial}: ErrorText) {
    super(code, message, hint === undefined ? {} : {hint})
    this.status = status
    this.retryAfterMs = retryAfterMs
    this.denial = denial
  }
}

/** A request that RBAC does not allow. */
export interface Denial {
  readonly request: RequestInfo
  /** The user's name, as the API server reports it. */
  readonly user: string
}

export interface ErrorText {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
  readonly denial?: Denial
}

/** The error for a response that is not a success. It quotes no value of the object, which may be a key. */
export function apiErrorOf(response: ApiResponse, info: RequestInfo, as: string): ApiError {
  const status = (typeof response.body === 'object' && response.body !== null ? response.body : {}) as ApiStatus
  return new ApiError(response, errorText(response.code, status, info, as))
}

function errorText(code: number, status: ApiStatus, info: RequestInfo, as: string): ErrorText {
  const message = typeof status.message === 'string' ? status.message : ''
  const what = describe(info)
  switch (code) {
    case 401: {
      return {
        code: 'unreachable',
        message: `the API server does not accept the credentials of ${as} (401 Unauthorized)`,
        hint: 'they may have expired: log in to the cluster again, or choose another --context',
      }
    }

    case 403: {
      return forbidden(message, info, as)
    }

    case 404: {
      if (status.details?.kind === 'namespaces')
        return {
          code: 'not-found',
          message: `namespace ${quote(info.namespace)} does not exist`,
          hint: `kubectl create namespace ${info.namespace}`,
        }
      return {code: 'not-found', message: `can't ${what}: it does not exist`}
    }

    case 409: {
      const isThere = info.verb === 'create' && status.reason === 'AlreadyExists'
      return {
        code: 'conflict',
        message: isThere ? `can't ${what}: it exists already` : `can't ${what}: another writer has changed it`,
        hint: 'run the command again',
      }
    }

    case 413: {
      return {code: 'failed', message: `can't ${what}: it is larger than the API server accepts`, hint: TOO_LARGE}
    }

    case 422: {
      if (isTooLong(status))
        return {
          code: 'failed',
          message: `can't ${what}: it is larger than the 1 MiB (1048576 bytes) that an object may hold`,
          hint: TOO_LARGE,
        }
      return {code: 'failed', message: `can't ${what}: the API server considers the object invalid${causesOf(status)}`}
    }

    default: {
      const isServers = code === 429 || code >= 500
      return {
        code: isServers ? 'unreachable' : 'failed',
        message: `can't ${what}: the API server answered ${code}${message === '' ? '' : `: ${bounded(message)}`}`,
      }
    }
  }
}

/**
 * A missing RBAC rule, which the authorizer reports in these words (apiserver, `responsewriters.ForbiddenMessage`), or a later refusal: by
 * admission, a quota or a policy.
 */
function forbidden(message: string, info: RequestInfo, as: string): ErrorText {
  const denied = /(?:^|: )User ("(?:[^"\\]|\\.)*") cannot ([a-z]+) resource "/.exec(message)
  if (denied !== null) {
    // An apply of an object that does not exist needs the verb create, too.
    const verb = verbs.find(each => each === denied[2]) ?? info.verb
    const [missing, user] = [{...info, verb}, userOf(denied[1])]
    return {
      code: 'failed',
      message: `${as} (user ${quote(user)}) may not ${describe(missing)}`,
      hint: hintFor([missing]),
      denial: {request: missing, user},
    }
  }

  if (message.includes('because it is being terminated'))
    return {
      code: 'failed',
      message: `can't ${describe(info)}: the namespace is being deleted`,
      hint: 'wait until it is deleted, then create it again',
    }
  const isQuota = message.includes('exceeded quota: ')
  return {
    code: 'failed',
    message: `can't ${describe(info)}: the API server refused it: ${bounded(message)}`,
    hint: isQuota ? `kubectl -n ${info.namespace} describe resourcequota` : 'a policy of the cluster forbids it: ask its administrator',
  }
}

const verbs: readonly RequestInfo['verb'][] = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

function describe({verb, resource, namespace, name}: RequestInfo): string {
  return `${verb} ${resource}${name === undefined ? '' : ` ${quote(name)}`} in namespace ${quote(namespace)}`
}

function userOf(quoted = '""'): string {
  try {
    return String(JSON.parse(quoted))
  } catch {
    return quoted
  }
}

/** What would allow requests in one namespace, at least one. */
export function hintFor(missing: readonly RequestInfo[]): string {
  const these = missing.length === 1 ? 'this rule' : 'these rules'
  return `${these} in a Role of namespace ${missing[0]?.namespace ?? ''} would allow it:\n${rulesFor(missing)}`
}

/** The rules of a Role, as YAML that can be pasted: a line for the verbs of a resource, or of a named object. */
function rulesFor(missing: readonly RequestInfo[]): string {
  const verbs = new Map<string, RequestInfo['verb'][]>()
  for (const {verb, resource, group, name} of missing) {
    // RBAC can't limit create by name, since the object has none yet (Kubernetes' RBAC page, resourceNames).
    const names = name === undefined || verb === 'create' ? '' : ` resourceNames: ["${name}"],`
    const rule = `apiGroups: ["${group}"], resources: ["${resource}"],${names}`
    verbs.set(rule, [...(verbs.get(rule) ?? []), verb])
  }

  return [...verbs].map(([rule, list]) => `  - {${rule} verbs: [${list.map(verb => `"${verb}"`).join(', ')}]}`).join('\n')
}

/** ConfigMaps and Secrets are refused above 1 MiB (Kubernetes, validation.MaxSecretSize), other objects by etcd's limit for a request. */
function isTooLong({details}: ApiStatus): boolean {
  return details?.causes?.some(({reason}) => reason === 'FieldValueTooLong') === true
}

const TOO_LARGE = 'its last complete version stays, and all other objects are written; divide the fleet between two installations'

function causesOf({details}: ApiStatus): string {
  const causes = (details?.causes ?? []).map(({field, reason}) => `${String(field)} (${String(reason)})`)
  return causes.length === 0 ? '' : `: ${causes.slice(0, 5).join(', ')}`
}

/** Cuts a webhook's message, which may be long and quote the object. */
function bounded(message: string): string {
  return quote(message, 400)
    .slice(1, -1)
    .replaceAll(String.raw`\"`, '"')
}
