/** The errors of a configuration that leads to no cluster, and of credentials that are missing. */
import {AtlasError} from '../../../model/errors.js'

/** `why` completes "cannot connect to a Kubernetes cluster: …". */
export function unusable(why: string, {hint, cause}: {readonly hint?: string | undefined; readonly cause?: unknown} = {}): AtlasError {
  return new AtlasError('unreachable', `cannot connect to a Kubernetes cluster: ${why}`, {
    hint: hint ?? 'correct the kubeconfig, or choose another context with --context',
    cause,
  })
}

/** `why` completes "cannot get credentials for context …: …". */
export function withoutCredentials(as: string, why: string, hint: string): AtlasError {
  return new AtlasError('unreachable', `cannot get credentials for ${as}: ${why}`, {hint})
}

/** Why an operating system's call failed, for messages. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? (code === '' ? 'unknown error' : code)
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is not a directory',
}
