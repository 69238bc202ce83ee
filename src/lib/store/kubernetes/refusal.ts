/** What the API server's refusals mean to whoever ran the command: which right is missing and what would grant it, what is gone, who was faster. */
import {AtlasError, quote} from '../../model/errors.js'

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
interface Status {
  readonly message?: unknown
  readonly reason?: unknown
  readonly details?: {
    readonly kind?: unknown
    readonly name?: unknown
    readonly causes?: readonly {readonly field?: unknown; readonly reason?: unknown}[]
  }
}

/** The error for an answer that is no success. Never with a value from the object: it may be a key. */
export function refusalOf(code: number, body: unknown, asked: Asked, as: string): AtlasError {
  const status = (typeof body === 'object' && body !== null ? body : {}) as Status
  const message = typeof status.message === 'string' ? status.message : ''
  const what = `${asked.verb} ${asked.resource}${asked.name === undefined ? '' : ` ${quote(asked.name)}`} in namespace ${quote(asked.namespace)}`
  switch (code) {
    case 401: {
      return new AtlasError('unreachable', `the API server does not accept the credentials of ${as} (401 Unauthorized)`, {
        hint: 'they may have expired: log in to the cluster again, or choose another --context',
      })
    }

    case 403: {
      if (!/ cannot [a-z]+ resource /.test(message))
        return new AtlasError('failed', `the API server refuses to ${what}: ${bounded(message)}`, {
          hint: 'a policy of the cluster forbids it; its administrator knows which',
        })
      return new AtlasError('failed', `${as} may not ${what}`, {
        hint: `this rule in a Role of namespace ${asked.namespace} would allow it:\n${ruleFor(asked)}`,
      })
    }

    case 404: {
      if (status.details?.kind === 'namespaces')
        return new AtlasError('not-found', `there is no namespace ${quote(asked.namespace)}`, {
          hint: `kubectl create namespace ${asked.namespace}`,
        })
      return new AtlasError('not-found', `can't ${what}: it is not there`)
    }

    case 409: {
      if (message.includes('being terminated'))
        return new AtlasError('failed', `can't ${what}: the namespace is being deleted`, {
          hint: 'wait until it is gone, then create it anew',
        })
      return new AtlasError('conflict', `can't ${what}: it was changed by another writer`, {hint: 'run the command again'})
    }

    case 422: {
      return new AtlasError('failed', `the API server takes the object to be invalid: ${what}${causesOf(status)}`)
    }

    default: {
      const isServers = code === 429 || code >= 500
      return new AtlasError(
        isServers ? 'unreachable' : 'failed',
        `the API server answers ${code} to ${what}${message === '' ? '' : `: ${bounded(message)}`}`,
      )
    }
  }
}

/** One rule of a Role, as YAML. */
export function ruleFor({verb, resource, group, name}: Asked): string {
  // A name can't be asked for where the object is not there yet (Kubernetes' RBAC page, resourceNames).
  const names = name === undefined || verb === 'create' ? '' : `\n    resourceNames: ["${name}"]`
  return `  - apiGroups: ["${group}"]\n    resources: ["${resource}"]${names}\n    verbs: ["${verb}"]`
}

function causesOf({details}: Status): string {
  const causes = (details?.causes ?? []).map(({field, reason}) => `${String(field)} (${String(reason)})`)
  return causes.length === 0 ? '' : `: ${causes.slice(0, 5).join(', ')}`
}

function bounded(message: string): string {
  return quote(message.slice(0, 300)).slice(1, -1)
}
