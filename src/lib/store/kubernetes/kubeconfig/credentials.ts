/** The headers and the client certificate that authenticate a request, by client-go's precedence. */
import type {OutgoingHttpHeaders} from 'node:http'
import type {SecretText} from '../../../model/secret.js'
import {type ExecPlugin, openExecPlugin} from './exec.js'
import type {Impersonated, UserEntry} from './format.js'
import {bearerOf} from './id-token.js'
import type {Material} from './material.js'
import type {KubeconfigTarget} from './select.js'
import {unusable, withoutCredentials} from './unusable.js'

export interface Credentials {
  readonly headers: OutgoingHttpHeaders
  /** Empty: none. */
  readonly certificate: string
  readonly key: SecretText
}

/**
 * Credentials for requests to a target. A program that gives them is run at the first request, and again when they have expired.
 * @throws AtlasError `unreachable` where there are none
 */
export function openCredentials(target: KubeconfigTarget): (material: Material) => Promise<Credentials> {
  const {user, as, server} = target
  if (user === undefined) return async ({certificate, key}) => ({headers: {}, certificate, key})
  const impersonation = impersonationHeaders(user.impersonated)
  if (server.protocol === 'http:') return async ({certificate, key}) => ({headers: impersonation, certificate, key})
  const {exec, username} = user
  if (!hasCredentials(user))
    throw withoutCredentials(
      as,
      'the kubeconfig has none for its user',
      'a user has a token, a client certificate, a user name, or a program that gives credentials (exec); log in to the cluster again',
    )
  let plugin: ExecPlugin | undefined
  return async ({ca, token, certificate, key}) => {
    if (token.reveal() !== '') return {headers: {...impersonation, authorization: bearer(token, as)}, certificate, key}
    if (username !== '') return {headers: {...impersonation, authorization: basic(user)}, certificate, key}
    if (user.authProvider !== undefined) {
      const idToken = bearerOf(user.authProvider, {as, now: Date.now()})
      return {headers: {...impersonation, authorization: bearer(idToken, as)}, certificate, key}
    }

    if (exec === undefined || certificate !== '') return {headers: impersonation, certificate, key}
    plugin ??= openExecPlugin(exec, target)
    const given = await plugin.credential(ca)
    const authorization = given.token.reveal() === '' ? {} : {authorization: bearer(given.token, as)}
    return {headers: {...impersonation, ...authorization}, certificate: given.certificate, key: given.key}
  }
}

function hasCredentials(user: UserEntry): boolean {
  const given = [user.token.reveal(), user.tokenFile, user.username, user.certificate, user.certificateFile]
  return given.some(text => text !== '') || user.exec !== undefined || user.authProvider !== undefined
}

function bearer(token: SecretText, as: string): string {
  return headerValue(`Bearer ${token.reveal()}`, `the token of ${as}`)
}

function basic({username, password}: UserEntry): string {
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`).toString('base64')}`
}

function impersonationHeaders({user, uid, groups, extra}: Impersonated): OutgoingHttpHeaders {
  if (user === '') return {}
  const value = (text: string): string => headerValue(text, 'what a request of another user is sent with (as-…)')
  const extras = [...extra].filter(([, values]) => values.length > 0)
  return {
    'impersonate-user': value(user),
    ...(uid !== '' && {'impersonate-uid': value(uid)}),
    ...(groups.length > 0 && {'impersonate-group': groups.map(group => value(group))}),
    ...Object.fromEntries(extras.map(([key, values]) => [`impersonate-extra-${escaped(key)}`, values.map(each => value(each))])),
  }
}

/** Bytes that a header's name can't hold, and %, are escaped as in a URL. */
function escaped(key: string): string {
  const bytes = Buffer.from(key)
  return [...bytes]
    .map(byte => {
      const letter = String.fromCharCode(byte)
      return /[\w!#$&'*+.^`|~-]/.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

/** UTF-8 bytes, each as one character: Node writes headers in Latin 1. */
function headerValue(text: string, what: string): string {
  if (/[\u0000-\u0008\u000A-\u001F\u007F]/.test(text))
    throw unusable(`${what} holds a line break or another control character`, {hint: 'take the character away, or get it again'})
  return Buffer.from(text).toString('latin1')
}
