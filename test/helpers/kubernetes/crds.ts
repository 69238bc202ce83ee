/** The custom resource definitions of Flux, k3s, Argo CD, the Prometheus operator, the Gateway API and Traefik in a test's cluster, until it ends; other tests are not affected. */
import {readFile} from 'node:fs/promises'
import {setTimeout} from 'node:timers/promises'
import {loadAll} from 'js-yaml'
import type {Kubernetes} from './kubernetes.js'
import {program} from './programs.js'

/** Resolves when objects of these kinds can be written; any test may call it. */
export async function installCrds(kubernetes: Kubernetes): Promise<void> {
  const file = program('crds')
  const {code, stderr} = await kubernetes.kubectl(['apply', '--server-side', '-f', file])
  if (code !== 0) throw new Error(stderr)
  const names = (loadAll(await readFile(file, 'utf8')) as {metadata: {name: string}}[]).map(({metadata}) => `crd/${metadata.name}`)
  const end = Date.now() + 90_000
  for (;;) {
    // kubectl wait fails at once for a CRD without a condition.
    const waited = await kubernetes.kubectl(['wait', '--for=condition=Established', ...names, '--timeout=10s'])
    if (waited.code === 0) return
    if (Date.now() > end) throw new Error(waited.stderr)
    await setTimeout(100)
  }
}
