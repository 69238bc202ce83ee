/** The deprecated auth providers of client-go: of `oidc` the token that is in the kubeconfig, while it is valid; the others are gone from client-go too. */
import {quote} from '../../../model/errors.js'
import {SecretText} from '../../../model/secret.js'
import type {UserEntry} from './format.js'
import {unusable} from './unusable.js'

/** As much earlier than it says a token counts as expired, milliseconds, as in client-go: clocks differ. */
const EARLIER = 10_000

/**
 * A token that has expired is not exchanged for a new one: the identity provider may take the old refresh token back at that, and
 * the new one would have to be written into the kubeconfig, which belongs to kubectl.
 * @throws AtlasError `unreachable` where there is no valid token
 */
export function bearerOf(
  {name, config}: NonNullable<UserEntry['authProvider']>,
  {as, now}: {readonly as: string; readonly now: number},
): SecretText {
  if (name !== 'oidc')
    throw unusable(`cannot get credentials for ${as}: there is no auth provider ${quote(name)}`, {hint: REPLACEMENTS[name] ?? LOG_IN})
  const token = config.get('id-token') ?? ''
  if (expiryOf(token) - EARLIER <= now)
    throw unusable(`cannot get credentials for ${as}: ${token === '' ? 'there is no id-token' : 'the id-token has expired'}`, {
      hint: 'run "kubectl version" with this context: it gets a new token and writes it to the kubeconfig',
    })
  return new SecretText(token)
}

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
