/** The command line when a cluster refuses: its message, its exit code, nothing half done, and no secret in the output. */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {applyAll} from '../charts/support/apply.js'
import {objectsOf} from '../charts/support/rendered.js'
import {atlas} from '../helpers/atlas.js'
import type {Ran} from '../helpers/ran.js'
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

  /** A person without any right, whose one Role gets the rules that refused commands print. */
  const personNamed = async (name: string) => {
    const kubeconfig = await stage.kubernetes.userKubeconfig(name, {namespace: stage.namespace})
    const binding = ['create', 'rolebinding', name, `--role=${name}`, `--user=${name}`, '--namespace', stage.namespace]
    expect((await stage.kubernetes.kubectl(binding)).code).to.equal(0)
    return {
      async refused(...args: readonly string[]): Promise<Ran> {
        const ran = await run(kubeconfig, ...args)
        const denied = `"${name}" \\(user "${name}"\\) may not [a-z]+ [a-z]+( "[a-z-]+")? in namespace "${stage.namespace}"; \\d+ more of the rights`
        expectRefusal(ran, 1, new RegExp(denied, 'm'))
        return ran
      },
      async grant({stderr}: Ran): Promise<string> {
        const rules = /would allow it:\n([^]*?)\n*$/.exec(stderr)?.[1] ?? ''
        const role = `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: ${name}, namespace: ${stage.namespace}}\nrules:\n`
        const applied = await stage.kubernetes.kubectl(['apply', '-f', '-'], {input: `${role}${rules}\n`})
        expect(applied.code, applied.stderr).to.equal(0)
        return rules
      },
      succeeds: async (...args: readonly string[]): Promise<Ran> => untilAllowed(kubeconfig, ...args),
    }
  }
  /** The API server knows a new Role after a moment. */
  const untilAllowed = async (kubeconfig: string, ...args: readonly string[]): Promise<Ran> => {
    let ran = await run(kubeconfig, ...args)
    for (const end = Date.now() + 90_000; ran.code !== 0 && Date.now() < end;) ran = await run(kubeconfig, ...args)
    expect(ran.code, ran.stderr).to.equal(0)
    return ran
  }

  it('because of missing rights: all are named at once, and the printed rules, applied as they are, let the command succeed', async () => {
    const kim = await personNamed('kim')
    const init = ['init', '--if-missing', '--address', '203.0.113.7']
    const rules = await kim.grant(await kim.refused(...init))
    expect(rules, 'it makes a root that it may not read').not.to.match(/secrets"\].*verbs: \[.*"(?:get|list|watch)/)
    await kim.succeeds(...init)
    expect(await stage.get('secrets', 'atlas-ca')).not.to.equal(undefined)

    const lou = await personNamed('lou')
    const add = ['cluster', 'add', 'paris', '--address', '198.51.100.4']
    const refused = await lou.refused(...add)
    expect(refused.stderr).to.contain('Hint: Role atlas-cluster-admin of chart atlas allows it')
    expect(await lou.grant(refused))
      .to.contain('resourceNames: ["atlas-requests"]')
      .and.not.to.contain('secrets')
    const {stderr} = await lou.succeeds(...add)
    expect(stderr, 'what this person may not do is not the next step').to.match(
      /Next, in cluster paris[^]*helm [^]*a user who may read Secret paris-envoy-ads runs\n.*--format secret/,
    )
    await lou.succeeds('cluster', 'list')
    await lou.succeeds('cluster', 'remove', 'paris', '--yes')
    expect((await asAdmin(...add)).stderr, 'who may read the key is told to copy it').to.not.contain('You may not read it')
  })

  it('because of missing rights that Role atlas-cluster-admin has: the printed command binds it', async () => {
    await asAdmin('init', '--address', '203.0.113.7')
    const roles = (await objectsOf({chart: 'atlas', ci: 'default', namespace: stage.namespace})).filter(
      ({kind, metadata}) => kind === 'Role' && metadata.name === 'atlas-cluster-admin',
    )
    expect(roles).to.have.length(1)
    await applyAll(stage.kubernetes, roles)
    const admin = await readFile(stage.kubernetes.kubeconfig, 'utf8')
    for (const name of ['ann', 'Bob@Example.com', 'system:serviceaccount:default:deployer']) {
      const person = await file(
        'person',
        admin.replace(/token: .*/, line => `${line}\n      as: ${name}`),
      )
      const {stderr} = await run(person, 'cluster', 'remove', 'nowhere', '--yes')
      const [, bind = ''] = /or run "kubectl (.*)"\n/.exec(stderr) ?? []
      expect(bind, stderr).to.contain(`--namespace ${stage.namespace} create rolebinding atlas-cluster-admin-`)
      const bound = await stage.kubernetes.kubectl(bind.split(' '))
      expect(bound.code, bound.stderr).to.equal(0)
      await untilAllowed(person, 'cluster', 'list')
      const secret = await run(person, 'cluster', 'values', 'paris', '--format', 'secret', '--show-secrets')
      expectRefusal(secret, 1, /may not get secrets "paris-envoy-ads"/)
      expect(secret.stderr, 'the Role has no Secret').not.to.contain('atlas-cluster-admin')
    }
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

  it('none: init without an address, run again with --if-missing, names one next step, which does not need one', async () => {
    for (const more of [[], ['--if-missing']]) {
      const {code, stderr} = await asAdmin('init', ...more)
      expect(code, stderr).to.equal(0)
      expect(stderr.match(/^Next: .*/gm)).to.deep.equal([
        `Next: atlas cluster add NAME --namespace ${stage.namespace} --kubeconfig ${stage.kubernetes.kubeconfig}`,
      ])
    }
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
