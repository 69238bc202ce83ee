/** What the API server's refusals mean to whoever ran the command: which right is missing and what would grant it, what is gone, who was faster. */
import {AtlasError, type ErrorCode, quote} from '../../model/errors.js'

/** What was asked of the API server, in RBAC's words. */
export interface Asked {
  readonly verb: 'create' | 'delete' | 'get' | 'list' | 'patch' | 'update' | 'watch'
  /** Such as `secrets`. */
  readonly resource: string
  /** API group, `` for the core. */
  readonly group: string
  readonly namespace: string
  readonly name?: string
}

/** As much of `metav1.Status` as is read. */
interface ApiStatus {
  readonly message?: unknown
  readonly reason?: unknown
  readonly details?: {
    readonly kind?: unknown
    readonly name?: unknown
    readonly causes?: readonly {readonly field?: unknown; readonly reason?: unknown}[]
  }
}

/** An answer that is no success. */
export interface ApiResponse {
  readonly code: number
  readonly body: unknown
  /** When the server wants to be asked again, milliseconds from now; undefined: it does not say. */
  readonly retryAfterMs?: number | undefined
}

/** What the API server has refused, and how, for those to whom it makes a difference. */
export class ApiError extends AtlasError {
  readonly status: number
  readonly retryAfterMs: number | undefined

  constructor({code: status, retryAfterMs}: ApiResponse, {code, message, hint}: ErrorText) {
    super(code, message, hint === undefined ? {} : {hint})
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

interface ErrorText {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

/** The error for an answer that is no success. Never with a value from the object: it may be a key. */
export function refusalOf(answer: ApiResponse, asked: Asked, as: string): ApiError {
  const status = (typeof answer.body === 'object' && answer.body !== null ? answer.body : {}) as ApiStatus
  return new ApiError(answer, told(answer.code, status, asked, as))
}

function told(code: number, status: ApiStatus, asked: Asked, as: string): ErrorText {
  const message = typeof status.message === 'string' ? status.message : ''
  const what = describe(asked)
  switch (code) {
    case 401: {
      return {
        code: 'unreachable',
        message: `the API server does not accept the credentials of ${as} (401 Unauthorized)`,
        hint: 'they may have expired: log in to the cluster again, or choose another --context',
      }
    }

    case 403: {
      return forbidden(message, asked, as)
    }

    case 404: {
      if (status.details?.kind === 'namespaces')
        return {
          code: 'not-found',
          message: `there is no namespace ${quote(asked.namespace)}`,
          hint: `kubectl create namespace ${asked.namespace}`,
        }
      return {code: 'not-found', message: `can't ${what}: it is not there`}
    }

    case 409: {
      const isThere = asked.verb === 'create' && status.reason === 'AlreadyExists'
      return {
        code: 'conflict',
        message: isThere ? `can't ${what}: it is there already` : `can't ${what}: it was changed by another writer`,
        hint: 'run the command again',
      }
    }

    case 413: {
      return {code: 'failed', message: `can't ${what}: it is larger than the API server takes`}
    }

    case 422: {
      return {code: 'failed', message: `the API server takes the object to be invalid: ${what}${causesOf(status)}`}
    }

    default: {
      const isServers = code === 429 || code >= 500
      return {
        code: isServers ? 'unreachable' : 'failed',
        message: `the API server answers ${code} to ${what}${message === '' ? '' : `: ${bounded(message)}`}`,
      }
    }
  }
}

/**
 * Either a right is missing, which the authorizer says in these words (apiserver, `responsewriters.ForbiddenMessage`), or something
 * that comes after it objects: admission, a quota, a policy.
 */
function forbidden(message: string, asked: Asked, as: string): ErrorText {
  const denied = /(?:^|: )User ("(?:[^"\\]|\\.)*") cannot ([a-z]+) resource "/.exec(message)
  if (denied !== null) {
    // An apply of what is not there takes the right to create it, too.
    const verb = verbs.find(each => each === denied[2]) ?? asked.verb
    const missing = {...asked, verb}
    return {
      code: 'failed',
      message: `${as} (user ${userOf(denied[1])}) may not ${describe(missing)}`,
      hint: `this rule in a Role of namespace ${asked.namespace} would allow it:\n${ruleFor(missing)}`,
    }
  }

  if (message.includes('because it is being terminated'))
    return {
      code: 'failed',
      message: `can't ${describe(asked)}: the namespace is being deleted`,
      hint: 'wait until it is gone, then create it anew',
    }
  const isQuota = message.includes('exceeded quota: ')
  return {
    code: 'failed',
    message: `the API server refuses to ${describe(asked)}: ${bounded(message)}`,
    hint: isQuota
      ? `kubectl -n ${asked.namespace} describe resourcequota`
      : 'a policy of the cluster forbids it; its administrator knows which',
  }
}

const verbs: readonly Asked['verb'][] = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

function describe({verb, resource, namespace, name}: Asked): string {
  return `${verb} ${resource}${name === undefined ? '' : ` ${quote(name)}`} in namespace ${quote(namespace)}`
}

function userOf(quoted = '""'): string {
  try {
    return quote(String(JSON.parse(quoted)))
  } catch {
    return quote(quoted)
  }
}

/** One rule of a Role, as YAML. */
export function ruleFor({verb, resource, group, name}: Asked): string {
  // A name can't be asked for where the object is not there yet (Kubernetes' RBAC page, resourceNames).
  const names = name === undefined || verb === 'create' ? '' : `\n    resourceNames: ["${name}"]`
  return `  - apiGroups: ["${group}"]\n    resources: ["${resource}"]${names}\n    verbs: ["${verb}"]`
}

function causesOf({details}: ApiStatus): string {
  const causes = (details?.causes ?? []).map(({field, reason}) => `${String(field)} (${String(reason)})`)
  return causes.length === 0 ? '' : `: ${causes.slice(0, 5).join(', ')}`
}

/** What a webhook says may be long, and quote what it was given. */
function bounded(message: string): string {
  return quote(message, 400)
    .slice(1, -1)
    .replaceAll(String.raw`\"`, '"')
}
