/** Several clusters under the contexts of one kubeconfig, as a person has them. */
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {dump} from 'js-yaml'
import {readKubeconfig} from './kubeconfig.js'
import type {Kubernetes} from './kubernetes.js'

/** The administrators of `clusters`, under their names; the first is the current context. Returns the file's path (0600). */
export async function writeContexts(folder: string, clusters: Readonly<Record<string, Kubernetes>>): Promise<string> {
  const file = path.join(folder, 'kubeconfig')
  const contexts = await Promise.all(
    Object.entries(clusters).map(async ([name, {kubeconfig}]) => {
      const {server, ca, credential} = await readKubeconfig(kubeconfig)
      if (!('token' in credential)) throw new Error('the administrator has a token')
      return {
        cluster: {name, cluster: {server, 'certificate-authority-data': Buffer.from(ca).toString('base64')}},
        user: {name, user: {token: credential.token}},
        context: {name, context: {cluster: name, user: name}},
      }
    }),
  )
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: contexts.map(({cluster}) => cluster),
    users: contexts.map(({user}) => user),
    contexts: contexts.map(({context}) => context),
    'current-context': Object.keys(clusters)[0],
  }
  await writeFile(file, dump(config), {mode: 0o600})
  return file
}
