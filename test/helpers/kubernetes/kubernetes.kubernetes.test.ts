/** The cluster of this lane's tests is a real one, and refuses what a real one refuses. */
import {setTimeout as sleep} from 'node:timers/promises'
import {existsSync} from 'node:fs'
import {stat} from 'node:fs/promises'
import {expect} from 'chai'
import type {Kubernetes} from './kubernetes.js'
import {ownKubernetes, sharedKubernetes} from './shared.js'

describe('the shared cluster', () => {
  let kubernetes: Kubernetes
  before(async () => {
    kubernetes = await sharedKubernetes()
  })

  it('is Kubernetes 1.36, and the same for every test', async () => {
    const {stdout} = await kubernetes.kubectl(['version', '-o', 'json'])
    expect(JSON.parse(stdout)).to.have.nested.property('serverVersion.gitVersion', 'v1.36.3')
    expect((await sharedKubernetes()).url).to.equal(kubernetes.url)
  })

  it('lets no other user read its kubeconfig', async () => {
    expect((await stat(kubernetes.kubeconfig)).mode & 0o777).to.equal(0o600)
  })

  it('has namespaces of its own for each test', async () => {
    const [one, other] = [await kubernetes.newNamespace(), await kubernetes.newNamespace('other', {color: 'blue'})]
    expect(one).to.match(/^test-/)
    const {stdout} = await kubernetes.kubectl(['get', 'namespaces', '-l', 'color=blue', '-o', 'name'])
    expect(stdout.split('\n')).to.include(`namespace/${other}`).and.not.include(`namespace/${one}`)
  })

  it('accepts objects that kubectl reads from standard input', async () => {
    const namespace = await kubernetes.newNamespace()
    const input = JSON.stringify({apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'here'}, data: {a: 'b'}})
    expect((await kubernetes.kubectl(['apply', '--server-side', '-n', namespace, '-f', '-'], {input})).code).to.equal(0)
    const {status, body} = await kubernetes.request('GET', `/api/v1/namespaces/${namespace}/configmaps/here`)
    expect([status, body.data]).to.deep.equal([200, {a: 'b'}])
    expect((await kubernetes.kubectl(['get', 'configmap', 'there', '-n', namespace])).code).to.equal(1)
  })

  for (const kind of ['user', 'service account'] as const)
    it(`refuses a ${kind} without a role, and allows what its role allows`, async () => {
      const namespace = await kubernetes.newNamespace()
      const kubeconfig =
        kind === 'user'
          ? await kubernetes.userKubeconfig('jane', {namespace})
          : await kubernetes.serviceAccountKubeconfig(namespace, 'jane')
      const list = async () => kubernetes.kubectl(['get', 'configmaps'], {kubeconfig})
      const {code, stderr} = await list()
      const name = kind === 'user' ? 'jane' : `system:serviceaccount:${namespace}:jane`
      expect(code).to.equal(1)
      expect(stderr).to.include('Forbidden').and.to.include(`User "${name}" cannot list resource "configmaps"`)
      await kubernetes.kubectl(['create', 'role', 'reader', '--verb=list', '--resource=configmaps', '-n', namespace])
      const subject = kind === 'user' ? '--user=jane' : `--serviceaccount=${namespace}:jane`
      await kubernetes.kubectl(['create', 'rolebinding', 'reader', '--role=reader', subject, '-n', namespace])
      // The API server's authorizer hears of a role by a watch of its own.
      for (let tries = 0; tries < 300 && (await list()).code !== 0; tries += 1) await sleep(200)
      expect((await list()).code).to.equal(0)
      expect((await kubernetes.request('GET', '/version', undefined, {kubeconfig})).status).to.equal(200)
    })

  it('refuses an unknown user', async () => {
    const answer = await fetch(`${kubernetes.url}/version`).catch((error: unknown) => error)
    expect(answer).to.be.instanceOf(TypeError) // its certificate is signed by no authority that Node knows
    expect((await kubernetes.kubectl(['get', 'namespaces', '--token=wrong', `--server=${kubernetes.url}`])).code).to.equal(1)
  })

  it('runs both Helms', async () => {
    const namespace = await kubernetes.newNamespace()
    for (const major of [3, 4] as const) {
      const {stdout, code} = await kubernetes.helm(['list', '-n', namespace, '-o', 'json'], {major})
      expect([code, stdout.trim()]).to.deep.equal([0, '[]'])
      expect((await kubernetes.helm(['version', '--short'], {major})).stdout).to.match(new RegExp(`^v${major}\\.`))
    }
  })

  it('deletes owned objects with their owner, once controllers run', async () => {
    await kubernetes.startControllers()
    const namespace = await kubernetes.newNamespace()
    const maps = `/api/v1/namespaces/${namespace}/configmaps`
    const made = await kubernetes.request<{metadata: {uid: string}}>('POST', maps, {metadata: {name: 'owner'}})
    const {uid} = made.body.metadata
    const ownerReferences = [{apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid}]
    await kubernetes.request('POST', maps, {metadata: {name: 'owned', ownerReferences}})
    await kubernetes.request('DELETE', `${maps}/owner`)
    let status = 200
    for (const end = Date.now() + 150_000; status === 200 && Date.now() < end;)
      ({status} = await kubernetes.request('GET', `${maps}/owned`))
    expect(status).to.equal(404)
  })
})

describe('a cluster of its own', () => {
  it('can be killed, paused, stopped and started again, and loses nothing', async () => {
    const kubernetes = await ownKubernetes()
    const {cluster, url} = kubernetes
    try {
      const namespace = await kubernetes.newNamespace()
      const isThere = async () => (await kubernetes.request('GET', `/api/v1/namespaces/${namespace}`)).status === 200
      await cluster.apiServer.kill()
      expect(await isThere().catch((error: unknown) => error)).to.have.property('code', 'ECONNREFUSED')
      await cluster.apiServer.start()
      expect(await isThere()).to.equal(true)
      cluster.apiServer.pause()
      // The kernel stops the threads of a process one after the other: on a loaded machine one of them may still answer.
      let waiting = isThere()
      const hangs = async (): Promise<boolean> => (await Promise.race([waiting, sleep(300, 'hangs')])) === 'hangs'
      for (let tries = 0; tries < 20 && !(await hangs()); tries += 1) waiting = isThere()
      expect(await hangs()).to.equal(true)
      cluster.apiServer.resume()
      expect(await waiting).to.equal(true)
      await cluster.etcd.kill()
      await cluster.etcd.start()
      await cluster.apiServer.start()
      expect(await isThere()).to.equal(true)
      expect(cluster.url).to.equal(url)
    } finally {
      await cluster.end()
    }

    for (const {pid} of [cluster.apiServer, cluster.etcd]) expect(isGone(pid!)).to.equal(true)
    expect(existsSync(cluster.folder)).to.equal(false)
  })
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
