/** The one form of every error that says why no cluster can be reached with what is configured. */
import {AtlasError} from '../../../model/errors.js'

/** `why` completes "cannot connect to a Kubernetes cluster: …". */
export function unusable(why: string, {hint, cause}: {readonly hint?: string | undefined; readonly cause?: unknown} = {}): AtlasError {
  return new AtlasError('unreachable', `cannot connect to a Kubernetes cluster: ${why}`, {
    hint: hint ?? 'name a cluster with --kubeconfig and --context, or name a directory of manifests with --store',
    cause,
  })
}

/** Why an operating system's call failed, for messages. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
  return (
    {ENOENT: 'it does not exist', EACCES: 'this user may not read it', EISDIR: 'it is a directory'}[code ?? ''] ?? code ?? 'unknown error'
  )
}
