/** The rights that commands need, and what a user who lacks some is told: all of them at once, and the Role of chart `atlas` that has them. */
import {keepersRule} from '../../model/endpoints.js'
import {objectNames} from '../../model/names.js'
import {ApiError, type Denial, type RequestInfo, hintFor} from './api-error.js'
import type {Client} from './client.js'

/** A request that a command may send, without its namespace. */
export type Right = Omit<RequestInfo, 'namespace'>

/** What a command does: it reads; it registers, changes and removes clusters; or it sets Atlas up. */
export type Work = 'init' | 'read' | 'register'

/** The rights of a command. @param secrets the Secrets that it reads */
export function rightsFor(work: Work, secrets: readonly string[]): readonly Right[] {
  const reading = secrets.map((name): Right => ({verb: 'get', resource: 'secrets', group: '', name}))
  return [...rightsOf[work], ...reading]
}

/** Whether Role `atlas-cluster-admin` of chart `atlas` has a right. */
export function isClusterAdmins({verb, resource, name}: Right): boolean {
  if (resource === 'services') return true
  if (resource === 'configmaps') return READS.has(verb) || (name === objectNames.requests && verb !== 'create' && verb !== 'delete')
  return resource === 'leases' && (verb === 'get' || verb === 'list')
}

/**
 * A client whose error, where a right is missing, names every right of `needed` that the user lacks. The API server is asked once, after
 * the first such error.
 */
export function explainDenials(client: Client, needed: readonly Right[]): Client {
  let lacking: Promise<readonly Right[]> | undefined

  async function explain(error: unknown): Promise<never> {
    if (!(error instanceof ApiError) || error.denial === undefined) throw error
    lacking ??= lackingOf(client, needed)
    throw withAll(error, error.denial, await lacking)
  }

  return {
    ...client,
    call: async request => client.call(request).catch(explain),
    stream: async (request, idleMs, events) => client.stream(request, idleMs, events).catch(explain),
  }
}

/**
 * What a request for one object threw, with the rule for all that keeping the object needs: the API server names the first missing right
 * alone, and the next one once that is there.
 */
export function withKeepersRule(error: unknown): unknown {
  if (!(error instanceof ApiError) || error.denial === undefined) return error
  const {denial, status, retryAfterMs, code, message} = error
  const {request} = denial
  if (request.name === undefined) return error
  const hint = `this rule in a Role of namespace ${request.namespace} would allow it:\n  ${keepersRule([request.name])}`
  return new ApiError({code: status, retryAfterMs}, {code, message, hint, denial})
}

/** Whether the user has a right; true where the API server does not tell, since the request itself will. */
export async function isAllowed(client: Client, {verb, resource, group, name}: Right): Promise<boolean> {
  const kind = 'SelfSubjectAccessReview'
  const resourceAttributes = {namespace: client.namespace, verb, group, resource, ...(name !== undefined && {name})}
  try {
    const review = await client.call({
      info: {verb: 'create', resource: 'selfsubjectaccessreviews', group: GROUP, namespace: client.namespace},
      path: `/apis/${GROUP}/v1/selfsubjectaccessreviews`,
      body: {apiVersion: `${GROUP}/v1`, kind, spec: {resourceAttributes}},
      timeoutMs: REVIEW,
    })
    const {status} = review as {readonly status?: {readonly allowed?: unknown}}
    return status?.allowed !== false
  } catch {
    return true
  }
}

const GROUP = 'authorization.k8s.io'
/** Milliseconds for the answer to one question. A command has failed already when it asks. */
const REVIEW = 5000
const READS: ReadonlySet<RequestInfo['verb']> = new Set(['get', 'list', 'watch'])

const all = (resource: string, group: string, ...verbs: readonly RequestInfo['verb'][]): readonly Right[] =>
  verbs.map(verb => ({verb, resource, group}))

const reading = [...all('services', '', 'list'), ...all('configmaps', '', 'list'), ...all('leases', 'coordination.k8s.io', 'list')]

/** test/commands/refusals.kubernetes.test.ts grants exactly these and runs the commands. */
const rightsOf: Readonly<Record<Work, readonly Right[]>> = {
  read: reading,
  register: [
    ...reading,
    ...all('services', '', 'get', 'watch', 'create', 'update', 'delete'),
    ...all('configmaps', '', 'get', 'watch'),
    {verb: 'update', resource: 'configmaps', group: '', name: objectNames.requests},
  ],
  init: [...all('services', '', 'list'), ...all('configmaps', '', 'list', 'get', 'create', 'update'), ...all('secrets', '', 'create')],
}

async function lackingOf(client: Client, needed: readonly Right[]): Promise<readonly Right[]> {
  const answers = await Promise.all(needed.map(async right => ({right, isAllowed: await isAllowed(client, right)})))
  return answers.filter(answer => !answer.isAllowed).map(({right}) => right)
}

/** The same error with all rights that are missing, the denied one among them. */
function withAll(error: ApiError, {request, user}: Denial, lacking: readonly Right[]): ApiError {
  const {namespace} = request
  const others = lacking.filter(right => !isSame(right, request))
  const missing = [request, ...others.map(right => ({...right, namespace}))]
  const rules = hintFor(missing)
  const {code, message, status} = error
  const more = others.length === 0 ? '' : `; ${others.length} more of the rights that this command needs are missing`
  const hint = missing.every(right => isClusterAdmins(right))
    ? `Role atlas-cluster-admin of chart atlas allows it: add the user to clusterAdmins of the chart${bindCommand(user, namespace)}\n  Without the chart, ${rules}`
    : rules
  return new ApiError({code: status, retryAfterMs: undefined}, {code, message: `${message}${more}`, hint, denial: {request, user}})
}

/** `, or run "kubectl …"`; empty for a user whose name a shell would not take as it is. */
function bindCommand(user: string, namespace: string): string {
  if (!/^[A-Za-z0-9_.@:-]{1,200}$/.test(user)) return ''
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user)
  const subject = account === null ? `--user=${user}` : `--serviceaccount=${account[1] ?? ''}:${account[2] ?? ''}`
  const name = `atlas-cluster-admin-${user.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`.slice(0, 63).replace(/-$/, '')
  return `, or run "kubectl --namespace ${namespace} create rolebinding ${name} --role=atlas-cluster-admin ${subject}"`
}

/** Whether `b` is of the kind of `a`. */
function isSame(a: Right, b: Right): boolean {
  return a.verb === b.verb && a.resource === b.resource && a.group === b.group && (a.name === undefined || a.name === b.name)
}
