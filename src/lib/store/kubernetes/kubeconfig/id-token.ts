/** The deprecated auth providers of client-go. Of `oidc`, the kubeconfig's token is used while it is valid; client-go has dropped all others. */
import {quote} from '../../../model/errors.js'
import {SecretText} from '../../../model/secret.js'
import type {UserEntry} from './format.js'
import {withoutCredentials} from './unusable.js'

/** A token counts as expired this much before its end, milliseconds, as in client-go: clocks differ. */
const EARLIER = 10_000

/**
 * Atlas does not refresh an expired token: an identity provider may revoke the refresh token when it is used, and the new one would have
 * to be written to the kubeconfig, which is kubectl's to write.
 * @throws AtlasError `unreachable` where there is no valid token
 */
export function bearerOf(
  {name, config}: NonNullable<UserEntry['authProvider']>,
  {as, now}: {readonly as: string; readonly now: number},
): SecretText {
  if (name !== 'oidc') throw withoutCredentials(as, `there is no auth provider ${quote(name)}`, REPLACEMENTS[name] ?? LOG_IN)
  const token = config.get('id-token') ?? ''
  if (expiryOf(token) - EARLIER <= now)
    throw withoutCredentials(as, token === '' ? 'there is no id-token' : 'the id-token has expired', RENEWED)
  return new SecretText(token)
}

const RENEWED = 'run "kubectl version" with this context: it gets a new token and writes it to the kubeconfig'
const LOG_IN = 'log in to the cluster again, with a program that writes exec instead of auth-provider'
const REPLACEMENTS: Readonly<Record<string, string>> = {
  gcp: 'install gke-gcloud-auth-plugin, then run "gcloud container clusters get-credentials"',
  azure: 'install kubelogin, then run "kubelogin convert-kubeconfig"',
}

/** Milliseconds since 1970; 0 for what is no such token. */
function expiryOf(token: string): number {
  try {
    const {exp} = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {exp?: unknown}
    return typeof exp === 'number' ? exp * 1000 : 0
  } catch {
    return 0
  }
}
