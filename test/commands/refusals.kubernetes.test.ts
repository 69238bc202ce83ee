/** The command line when a cluster refuses: its message, its exit code, nothing half done, and no secret in the output. */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {type Ran, atlas} from '../helpers/atlas.js'
import {certify} from '../helpers/kubernetes/certificates.js'
import {type StoredAs, stageOf} from '../store/kubernetes/stage.js'

describe('a command that a cluster refuses', () => {
  const stage = stageOf()
  const said: string[] = []
  let folder: string
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-test-'))
  })
  after(async () => rm(folder, {recursive: true, force: true}))
  afterEach('no secret was said', async () => {
    const text = said.splice(0).join('\n')
    const kubeconfig = await readFile(stage.kubernetes.kubeconfig, 'utf8')
    const token = /token: (\S+)/.exec(kubeconfig)?.[1] ?? ''
    expect(token).not.to.equal('')
    expect(text).not.to.include(token)
    expect(text).not.to.match(/PRIVATE KEY|LS0tLS1CRUdJTi|not-to-be-said/)
  })

  const run = async (kubeconfig: string, ...args: readonly string[]): Promise<Ran> => {
    const ran = await atlas(...args, '--kubeconfig', kubeconfig, ...(args.includes('--namespace') ? [] : ['--namespace', stage.namespace]))
    said.push(ran.stdout, ran.stderr)
    return ran
  }
  const asAdmin = async (...args: readonly string[]): Promise<Ran> => run(stage.kubernetes.kubeconfig, ...args)
  const expectRefusal = ({code, stderr}: Ran, wanted: number, words: RegExp): void => {
    expect(stderr)
      .to.match(words)
      .and.to.match(/^Error: /m)
      .and.not.match(/should not happen|\n\s+at /)
    expect(code, stderr).to.equal(wanted)
  }
  const file = async (name: string, text: string): Promise<string> => {
    const at = path.join(folder, name)
    await writeFile(at, text, {mode: 0o600})
    return at
  }

  it('because of a missing right: the right is named, and the printed rule, applied as it is, lets the command succeed', async () => {
    const person = await stage.kubernetes.userKubeconfig('kim', {namespace: stage.namespace})
    const binding = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: {name: 'kim', namespace: stage.namespace},
      roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'kim'},
      subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'kim'}],
    }
    const role = `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: kim, namespace: ${stage.namespace}}\nrules:\n`
    const rules: string[] = []
    await stage.kubernetes.kubectl(['apply', '-f', '-'], {input: JSON.stringify(binding)})
    const runUntilGranted = async (...args: readonly string[]): Promise<void> => {
      for (;;) {
        const ran = await run(person, ...args)
        if (ran.code === 0) return
        expectRefusal(
          ran,
          1,
          new RegExp(`context "kim" \\(user "kim"\\) may not [a-z]+ [a-z]+( "[a-z-]+")? in namespace "${stage.namespace}"$`, 'm'),
        )
        const rule = /would allow it:\n([^]*?)\n*$/.exec(ran.stderr)?.[1] ?? ''
        expect(rules, 'another one each time').not.to.include(rule)
        rules.push(rule)
        const {code, stderr} = await stage.kubernetes.kubectl(['apply', '-f', '-'], {input: `${role}${rules.join('\n')}\n`})
        expect(code, stderr).to.equal(0)
        await new Promise(resolve => setTimeout(resolve, 200))
      }
    }

    await runUntilGranted('init', '--if-missing', '--address', '203.0.113.7')
    expect(await stage.get('secrets', 'atlas-ca')).not.to.equal(undefined)
    const ofInit = rules.length
    await runUntilGranted('cluster', 'add', 'paris', '--address', '198.51.100.4')
    await runUntilGranted('cluster', 'remove', 'paris', '--yes')
    const text = rules.join('\n')
    expect(text).to.include('resources: ["services"]').and.include('resourceNames: ["atlas-requests"]')
    expect(text, 'adding a cluster takes no right to read a key').not.to.match(/secrets"\]\n(?:.*\n)?.*verbs: \["(?:get|list|watch)/)
    expect([ofInit, rules.length]).to.deep.equal([6, 9])
  })

  it('because it cannot be reached', async () => {
    const good = await readFile(stage.kubernetes.kubeconfig, 'utf8')
    const {certificate} = await certify({name: 'another'})
    const files = {
      away: good.replace(/server: .*/, 'server: https://127.0.0.1:1'),
      strange: good.replace(
        /certificate-authority-data: \S+/,
        `certificate-authority-data: ${Buffer.from(certificate).toString('base64')}`,
      ),
      expired: good.replace(/token: .*/, 'token: not-to-be-said'),
      broken: 'apiVersion: v1\nusers: [{name: a, user: {token: not-to-be-said}\n',
      list: '- not-to-be-said\n',
      undecided: good.replace(/current-context: .*/, ''),
      lost: good.replace(/current-context: .*/, 'current-context: elsewhere'),
      homeless: good.replace(/cluster: test\n/, 'cluster: elsewhere\n'),
      nobody: good.replace(/user: admin\n/, 'user: nobody\n'),
      nonsense: good.replace(/server: .*/, 'server: not a url'),
    }
    const cases: readonly (readonly [name: keyof typeof files, words: RegExp])[] = [
      ['away', /the API server 127\.0\.0\.1:1 of context "admin" does not answer: .*ECONNREFUSED/],
      ['strange', /can't verify the certificate of the API server \S+: .*certificate/],
      ['expired', /does not accept the credentials of context "admin" \(401 Unauthorized\)\n.*log in to the cluster again/],
      ['broken', /the kubeconfig \S+ can't be read: it must be YAML; .* at line \d+/],
      ['list', /the kubeconfig \S+ can't be read: the file must be an object, and is a list/],
      ['undecided', /the kubeconfig has no current context; there are: admin\n/],
      ['lost', /there is no context "elsewhere"; there are: admin/],
      ['homeless', /context "admin" names the cluster "elsewhere", which is not in the kubeconfig/],
      ['nobody', /context "admin" names the user "nobody", which is not in the kubeconfig/],
      ['nonsense', /the address of the API server is not a URL/],
    ]
    await Promise.all(
      cases.map(async ([name, words]) => {
        const kubeconfig = await file(`${name}.kubeconfig`, files[name])
        expectRefusal(await run(kubeconfig, 'cluster', 'list'), 5, words)
      }),
    )
    expectRefusal(await asAdmin('cluster', 'list', '--context', 'other'), 5, /there is no context "other"; there are: admin/)
    expectRefusal(await run('/nowhere/kubeconfig', 'cluster', 'list'), 5, /\/nowhere\/kubeconfig can't be read: it does not exist/)
    const json = await run(await file('away.kubeconfig', files.away), 'cluster', 'list', '--json')
    expect(json.code).to.equal(5)
    expect(JSON.parse(json.stdout)).to.have.nested.property('error.code', 'unreachable')
  })

  it('because of objects that exist, which stay as they are', async () => {
    expectRefusal(await asAdmin('cluster', 'list', '--namespace', 'nowhere'), 3, /there is no Atlas in namespace nowhere .*\n.*atlas init/)
    expectRefusal(
      await asAdmin('init', '--namespace', 'nowhere'),
      3,
      /namespace "nowhere" does not exist\n.*kubectl create namespace nowhere/,
    )
    expectRefusal(await asAdmin('cluster', 'list', '--namespace', 'No_Where'), 2, /--namespace/)
    expectRefusal(await asAdmin('cluster', 'list', '--store', folder), 2, /--store names a directory, --kubeconfig a Kubernetes cluster/)
    expect((await asAdmin('init', '--address', '203.0.113.7')).code).to.equal(0)
    expectRefusal(await asAdmin('init', '--trust-domain', 'other.example'), 4, /the trust domain here is "atlas.internal"/)
    expectRefusal(await asAdmin('cluster', 'remove', 'berlin', '--yes'), 3, /there is no cluster "berlin"/)

    const theirs = {metadata: {name: 'lyon'}, spec: {clusterIP: 'None', ports: [{port: 80}]}}
    const {body: before} = await stage.kubernetes.request<StoredAs>('POST', stage.path('services'), theirs)
    const taken = await asAdmin('cluster', 'add', 'lyon', '--address', '198.51.100.4')
    expectRefusal(taken, 1, /Service "lyon" is there already and registers no cluster, so it belongs to another program/)
    expect(await stage.get('services', 'lyon')).to.deep.equal(before)

    const label = {metadata: {labels: {'goatlas.io/format': '2'}}}
    const options = {contentType: 'application/merge-patch+json'}
    const {body: newer} = await stage.kubernetes.request<StoredAs>('PATCH', stage.path('configmaps', 'atlas-fleet'), label, options)
    for (const args of [
      ['cluster', 'add', 'paris', '--address', '198.51.100.4'],
      ['init', '--address', '203.0.113.8'],
      ['cluster', 'list'],
    ])
      expectRefusal(
        await asAdmin(...args),
        1,
        /label goatlas\.io\/format must be "1", the format that this version of Atlas knows; got "2"/,
      )
    expect(await stage.get('configmaps', 'atlas-fleet')).to.deep.equal(newer)
    expect(await stage.get('services', 'paris')).to.equal(undefined)
  })
})
