/** The user that a real API server sees, compared with `kubectl auth whoami`. */
import {expect} from 'chai'
import {mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {dump, load} from 'js-yaml'
import {AtlasError} from '../../../../src/lib/model/errors.js'
import {openAccess} from '../../../../src/lib/store/kubernetes/access.js'
import {openClient} from '../../../../src/lib/store/kubernetes/client.js'
import {certify} from '../../../helpers/kubernetes/certificates.js'
import type {Kubernetes} from '../../../helpers/kubernetes/kubernetes.js'
import {sharedKubernetes} from '../../../helpers/kubernetes/shared.js'

interface Known {
  readonly username: string
  readonly uid?: string
  readonly groups?: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

describe('A real API server knows Atlas as it knows kubectl', () => {
  let kubernetes: Kubernetes
  let folder: string
  before(async () => {
    kubernetes = await sharedKubernetes()
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-whoami-'))
  })
  after(async () => rm(folder, {recursive: true}))

  it('by a token', async () => {
    expect(await asBoth({token: kubernetes.cluster.token})).to.have.property('username', 'admin')
  })

  it('by the token of a ServiceAccount, in a file', async () => {
    const namespace = await kubernetes.newNamespace()
    const file = load(await readFile(await kubernetes.serviceAccountKubeconfig(namespace, 'reader'), 'utf8')) as {
      users: [{user: {token: string}}]
    }
    await writeFile(path.join(folder, 'token'), `${file.users[0].user.token}\n`)
    expect(await asBoth({tokenFile: 'token'})).to.have.property('username', `system:serviceaccount:${namespace}:reader`)
  })

  it('by a client certificate', async () => {
    const known = await asBoth(await certificate())
    expect(known).to.deep.include({username: 'operator'})
    expect(known.groups).to.include.members(['atlas-operators', 'readers'])
  })

  it('by a program that gives a client certificate', async () => {
    const {'client-certificate': cert, 'client-key': key} = await certificate()
    const [clientCertificateData, clientKeyData] = await Promise.all(
      [cert, key].map(async name => readFile(path.join(folder, name), 'utf8')),
    )
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: {clientCertificateData, clientKeyData},
    }
    await writeFile(path.join(folder, 'credential'), JSON.stringify(credential))
    const exec = {apiVersion: credential.apiVersion, command: 'cat', args: [path.join(folder, 'credential')], interactiveMode: 'Never'}
    expect(await asBoth({exec})).to.have.property('username', 'operator')
  })

  it('as another user, in full', async () => {
    const extra = {'example.com/team a%b': ['one', 'two, three'], scopes: ['view']}
    const known = await asBoth({
      token: kubernetes.cluster.token,
      as: 'other@example.com',
      'as-uid': 'u-1',
      'as-groups': ['readers', 'a, b', 'grün'],
      'as-user-extra': extra,
    })
    expect(known).to.deep.include({username: 'other@example.com', uid: 'u-1', extra})
    expect(known.groups).to.include.members(['readers', 'a, b', 'grün'])
  })

  it('not at all by a user name, which Kubernetes has given up', async () => {
    expect(await asBoth({username: 'admin', password: 'password'})).to.equal(undefined)
  })

  async function certificate(): Promise<{'client-certificate': string; 'client-key': string}> {
    const operator = await certify({name: 'operator', groups: ['atlas-operators', 'readers']}, kubernetes.cluster.ca)
    await mkdir(path.join(folder, 'pki'), {recursive: true})
    await writeFile(path.join(folder, 'pki/cert.pem'), operator.certificate)
    await writeFile(path.join(folder, 'pki/key.pem'), operator.key)
    return {'client-certificate': 'pki/cert.pem', 'client-key': 'pki/key.pem'}
  }

  /** Undefined: neither is let in. */
  async function asBoth(user: object): Promise<Known> {
    const kubeconfig = path.join(folder, 'config')
    const file = {
      clusters: [{name: 'c', cluster: {server: kubernetes.url, 'certificate-authority': kubernetes.caFile}}],
      users: [{name: 'u', user}],
      contexts: [{name: 'x', context: {cluster: 'c', user: 'u'}}],
      'current-context': 'x',
    }
    await writeFile(kubeconfig, dump(file))
    const ran = await kubernetes.kubectl(['auth', 'whoami', '--output=json'], {kubeconfig})
    const ofKubectl = ran.code === 0 ? (JSON.parse(ran.stdout) as Review).status.userInfo : undefined
    const ofAtlas = await whoami(kubeconfig)
    expect(ofAtlas, ran.stderr).to.deep.equal(ofKubectl)
    return ofAtlas as Known
  }
})

interface Review {
  readonly status: {readonly userInfo: Known}
}

async function whoami(kubeconfig: string): Promise<Known | undefined> {
  const client = openClient(await openAccess({kubeconfig}))
  try {
    const review = await client.call({
      info: {verb: 'create', resource: 'selfsubjectreviews', group: 'authentication.k8s.io', namespace: ''},
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: {apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview'},
    })
    return (review as Review).status.userInfo
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    return undefined
  } finally {
    client.close()
  }
}
