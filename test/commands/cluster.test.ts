import {readFile, readdir, rm, stat, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasJson, forAll, inFolder} from '../helpers/atlas.js'

interface ErrorJson {
  error: {code: string; message: string; hint?: string}
}

describe('commands: init and cluster', function () {
  this.timeout(180_000)

  it('revoke cuts a cluster off, and restore ends it: what each prints, and what is refused meanwhile', () =>
    inFolder(async folder => {
      const at = ['--store', path.join(folder, 'state')]
      await atlas('init', ...at, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', ...at, '--address', '198.51.100.4')
      // The lifetime of connections, and a tenth of it; at the end the default.
      for (const [lifetime, limit] of Object.entries({'1m': '66s', '10m': '11m'})) {
        await atlas('init', ...at, '--set', `thanosConnection=${lifetime}`)
        const {stdout} = await atlas('cluster', 'revoke', 'paris', ...at, '--dry-run')
        expect(stdout)
          .to.contain(`"atlas init --set thanosConnection=10m ${at.join(' ')}"`)
          .and.to.contain(`"atlas status ${at.join(' ')}"`)
        expect(stdout).to.contain(`A stream that is open now, such as a query, ends after ${limit} at most: the lifetime of connections (`)
      }

      const {value} = await atlasJson('cluster', 'revoke', 'paris', ...at, '--yes')
      expect(value).to.deep.include({revoked: 'paris', reissued: false, done: true, streamLimitSeconds: 660})
      expect((await atlas('cluster', 'revoke', 'paris', ...at, '--yes')).stderr).to.contain('cluster paris is revoked already')
      expect((await atlas('cluster', 'list', ...at)).stdout).to.match(/paris +revoked/)
      for (const refused of [
        ['add', 'paris'],
        ['values', 'paris', '--format', 'secret', '--show-secrets'],
      ]) {
        const {code, stderr} = await atlas('cluster', ...refused, ...at)
        expect([code, stderr.includes(`"atlas cluster restore paris ${at.join(' ')}" ends that`)]).to.deep.equal([4, true])
      }

      expect((await atlas('cluster', 'restore', 'paris', ...at, '--dry-run')).stdout).to.match(/^Cluster paris would be restored:\n {2}/)
      const restored = await atlas('cluster', 'restore', 'paris', ...at)
      expect(restored.stderr).to.contain('Cluster paris is restored').and.to.contain('rollout restart')
      // A directory is used without Kubernetes first of all.
      expect(restored.stderr).to.contain(
        `run:\n  atlas cluster values paris ${at.join(' ')} --format bootstrap --output DIR\nwhere DIR has`,
      )
      expect(restored.stderr.indexOf('kubectl')).to.be.greaterThan(restored.stderr.indexOf('For an Envoy in Kubernetes instead:'))
      expect((await atlas('cluster', 'restore', 'paris', ...at)).stderr).to.contain('Cluster paris is not revoked')
      const newest =
        /[0-9a-f]{64}/.exec((await atlas('cluster', 'revoke', 'paris', ...at, '--credential', '0'.repeat(16), '--yes')).stderr)?.[0] ?? ''
      expect((await atlas('cluster', 'revoke', 'paris', ...at, '--credential', newest, '--yes')).code).to.equal(4)
      const reissued = await atlas('cluster', 'revoke', 'paris', ...at, '--credential', newest, '--reissue', '--yes')
      expect(reissued.stderr).to.contain(`Revoked: credential ${newest} of cluster paris`).and.to.contain('Warning: a new credential')
    }))

  it('restore says of a suspended cluster which command brings it back', () =>
    inFolder(async folder => {
      const at = ['--store', folder]
      await atlas('init', ...at)
      await atlas('cluster', 'add', 'paris', ...at, '--address', '198.51.100.4')
      await rm(path.join(folder, 'service-paris.yaml'))
      const add = `"atlas cluster add paris --store ${folder}"`
      const {code, stderr} = await atlas('cluster', 'restore', 'paris', ...at)
      expect(code, stderr).to.equal(0)
      expect(stderr).to.contain('Cluster paris is not revoked but suspended').and.to.contain(add)
      expect((await atlas('cluster', 'list', ...at)).stdout).to.contain(`${add} restores it`)
      expect((await atlas('cluster', 'add', 'paris', ...at)).stderr).to.contain('Cluster paris is restored, with its earlier certificates')
    }))

  it('a whole life: init, add, show, list, values, remove', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      const init = await atlas('init', '--store', store, '--address', '203.0.113.7')
      expect(init.code, init.stderr).to.equal(0)
      expect(init.stdout).to.equal('')
      expect(init.stderr)
        .to.contain('Atlas is set up')
        .and.to.match(/Next, in this order:\n {2}atlas serve --store .*\n.*\n {2}atlas cluster add NAME/)

      const again = await atlas('init', '--store', store)
      expect(again.code).to.equal(0)
      expect(again.stderr).to.contain('nothing changed')

      const add = await atlas('cluster', 'add', 'paris', '--store', store, '--address', '198.51.100.4', '--replicas', '2')
      expect(add.code, add.stderr).to.equal(0)
      expect(add.stderr)
        .to.contain('Cluster paris is registered')
        .and.to.contain('Assumed')
        .and.to.contain('prometheus-operated')
        .and.to.contain(`Next: atlas cluster values paris --store ${store} --format bootstrap --output ./envoy-paris`)

      const shown = await atlasJson<{state: string; sidecars: string[]; identity: {name: string}}>(
        'cluster',
        'show',
        'paris',
        '--store',
        store,
      )
      expect(shown.value.state).to.equal('registered')
      expect(shown.value.sidecars).to.deep.equal(['paris-thanos-sidecar0', 'paris-thanos-sidecar1'])
      expect(shown.value.identity.name).to.equal('spiffe://atlas.internal/downstream/paris/1')

      const list = await atlas('cluster', 'list', '--store', store)
      expect(list.stdout)
        .to.match(/NAME +STATE +CONNECTED +ADDRESS/)
        .and.to.match(/paris +registered +unknown +198\.51\.100\.4 +2/)

      const values = await atlas('cluster', 'values', 'paris', '--store', store)
      expect(values.code, values.stderr).to.equal(0)
      expect(values.stdout).to.contain('203.0.113.7').and.not.to.contain('PRIVATE KEY')

      const removed = await atlas('cluster', 'remove', 'paris', '--store', store, '--yes')
      expect(removed.code, removed.stderr).to.equal(0)
      const gone = await atlasJson<ErrorJson>('cluster', 'show', 'paris', '--store', store)
      expect(gone.code).to.equal(3)
      expect(gone.value.error.code).to.equal('not-found')
    }))

  it('a cluster without an address gets its values, and the same command adds the address', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--address', '203.0.113.7')
      const pending = await atlas('cluster', 'add', 'lyon', '--store', folder)
      expect(pending.code, pending.stderr).to.equal(0)
      expect(pending.stderr).to.contain('has no address yet')
      expect((await atlas('cluster', 'values', 'lyon', '--store', folder)).code).to.equal(0)
      const completed = await atlas('cluster', 'add', 'lyon', '--store', folder, '--address', 'lyon.example.net')
      expect(completed.stderr).to.contain('address: (none yet) -> lyon.example.net')
      const same = await atlas('cluster', 'add', 'lyon', '--store', folder, '--address', 'lyon.example.net')
      expect(same.stderr).to.contain('nothing changed')
    }))

  it('--dry-run prints manifests without keys and writes nothing', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--address', '203.0.113.7')
      const before = await contents(folder)
      const dry = await atlas('cluster', 'add', 'lyon', '--store', folder, '--dry-run')
      expect(dry.code, dry.stderr).to.equal(0)
      expect(dry.stdout).to.contain('kind: Service').and.to.contain('name: lyon').and.not.to.contain('PRIVATE KEY')
      expect(dry.stderr).to.contain('would be registered')
      expect(await contents(folder)).to.deep.equal(before)
      const remote = await atlas('init', '--store', path.join(folder, 'new'), '--dry-run')
      expect(remote.code, remote.stderr).to.equal(0)
      expect(remote.stdout).to.contain('name: atlas-fleet').and.not.to.contain('PRIVATE KEY')
      expect((await readdir(folder)).includes('new')).to.equal(false)
    }))

  it('init --dry-run says what would be, that nothing is written, and no next command', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--address', '203.0.113.7')
      const before = await contents(folder)
      const init = async (...args: string[]): Promise<string> => (await atlas('init', '--dry-run', ...args)).stderr
      const printed = [
        await init('--store', folder, '--address', '1.2.3.4'),
        await init('--store', folder),
        await init('--store', path.join(folder, 'new')),
      ]
      expect(printed[0])
        .to.contain(`Would be changed in directory ${folder}:`)
        .and.to.match(/^Settings would be changed:\n {2}address\w*: 203\.0\.113\.7 -> 1\.2\.3\.4$/m)
        .and.to.contain('What would follow:\n- ')
        .and.not.to.match(/^(Changed|What follows)/m)
      expect(printed[1]).to.contain('nothing would be changed')
      expect(printed[2]).to.contain('Atlas would be set up in')
      for (const text of printed)
        expect(text)
          .to.match(/\nNothing is written to .+\.\n$/)
          .and.not.to.contain('Next')
      expect(await contents(folder)).to.deep.equal(before)
    }))

  const refused: [string, string[], number, RegExp][] = [
    ['a bad name', ['cluster', 'add', 'Paris'], 2, /a cluster name must be/],
    ['the name atlas', ['cluster', 'add', 'atlas'], 2, /another than "atlas"/],
    ['a name kept for Atlas', ['cluster', 'add', 'atlas-two'], 2, /"atlas-"/],
    ['a bad address', ['cluster', 'add', 'paris', '--address', 'no/such'], 2, /an address must be/],
    ['an address with a port', ['cluster', 'add', 'paris', '--address', '192.0.2.1:443'], 2, /--port 11901=443/],
    ['an address of a Thanos user', ['cluster', 'add', 'paris', '--thanos', 'dnssrv+_grpc._tcp.x:10901'], 2, /no SRV records: write "x"/],
    ['an address that nothing has', ['cluster', 'add', 'paris', '--address', '0.0.0.0'], 2, /a connection can be made to/],
    ['an address of init with a port', ['init', '--address', '192.0.2.1:443'], 2, /--ads-port 443/],
    ['an address of init that nothing has', ['init', '--address', '::'], 2, /a connection can be made to/],
    ['a port in the address', ['cluster', 'add', 'paris', '--address', 'host:443'], 2, /--port/],
    ['a negative number of replicas', ['cluster', 'add', 'paris', '--replicas=-1'], 2, /from 0 \(no sidecars\) to 1000; got "-1"/],
    ['a port without what it is outside', ['cluster', 'add', 'paris', '--port', '11901'], 2, /a list such as 11901=30901/],
    ['a page target that is none', ['cluster', 'add', 'paris', '--prometheus', 'none'], 2, /a cluster without it needs no flag/],
    ['replicas that are no number', ['cluster', 'add', 'paris', '--replicas', 'two'], 2, /replicas must be/],
    [
      'two replicas behind one address',
      ['cluster', 'add', 'paris', '--replicas', '2', '--thanos', 'thanos.svc:10901'],
      2,
      /is the same for all of them/,
    ],
    ['an unknown stack', ['cluster', 'add', 'paris', '--stack', 'nagios'], 2, /kube-prometheus-stack/],
    ['an unknown flag', ['cluster', 'add', 'paris', '--adress', '1.2.3.4'], 2, /--adress/],
    ['a missing name', ['cluster', 'add'], 2, /name/],
    ['a cluster that is not there', ['cluster', 'show', 'lyon'], 3, /there is no cluster "lyon"; none is registered/],
    ['values of a cluster that is not there', ['cluster', 'values', 'lyon'], 3, /there is no cluster "lyon"/],
    ['removal without an answer', ['cluster', 'remove', 'lyon'], 3, /there is no cluster "lyon"/],
    ['rotation of a cluster that is not there', ['rotate', 'lyon'], 3, /there is no cluster "lyon"/],
  ]
  it('bad input of every kind ends with its exit code and a message that names a remedy, and writes nothing', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const before = await contents(folder)
      await forAll(refused, async ([what, args, code, text]) => {
        const ran = await atlas(...args, '--store', folder)
        expect(ran.code, `${what}: ${ran.stderr}`).to.equal(code)
        expect(ran.stderr, what).to.match(text)
        expect(ran.stdout, what).to.equal('')
        const json = await atlasJson<ErrorJson>(...args, '--store', folder)
        expect(json.code, what).to.equal(code)
        expect(json.value.error.message, what).to.be.a('string').and.not.to.equal('')
        expect(Object.keys(json.value), what).to.deep.equal(['error'])
      })

      expect(await contents(folder)).to.deep.equal(before)
    }))

  it('without a store, in an empty store, and in one that cannot be read, the message names the store and a remedy', () =>
    inFolder(async folder => {
      const none = await atlas('cluster', 'list', '--kubeconfig', path.join(folder, 'none'))
      expect(none.code).to.equal(5)
      expect(none.stderr).to.contain('it does not exist').and.to.contain('--kubeconfig')
      const empty = await atlas('cluster', 'list', '--store', folder)
      expect(empty.code).to.equal(3)
      expect(empty.stderr).to.contain('atlas init')
      const missing = await atlas('cluster', 'list', '--store', path.join(folder, 'nowhere'))
      expect([3, 5]).to.include(missing.code)
      await writeFile(path.join(folder, 'file'), '')
      const file = await atlas('cluster', 'list', '--store', path.join(folder, 'file'))
      expect(file.code).to.equal(2)
    }))

  it('without an address to connect to, values name the command that sets it', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      await atlas('cluster', 'add', 'paris', '--store', folder)
      const values = await atlas('cluster', 'values', 'paris', '--store', folder)
      expect(values.code).to.equal(1)
      expect(values.stderr).to.contain('atlas init --address')
      const changed = await atlas('init', '--store', folder, '--address', '203.0.113.7')
      expect(changed.stderr).to.contain('Changed settings:').and.to.contain('addresses: (none) -> 203.0.113.7')
      expect((await atlas('cluster', 'values', 'paris', '--store', folder)).code).to.equal(0)
    }))

  it('removal asks; without a terminal it needs --yes', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      await atlas('cluster', 'add', 'paris', '--store', folder)
      const before = await contents(folder)
      const asked = await atlas('cluster', 'remove', 'paris', '--store', folder)
      expect(asked.code).to.equal(2)
      expect(asked.stderr).to.contain('--yes')
      const dry = await atlas('cluster', 'remove', 'paris', '--store', folder, '--dry-run')
      expect(dry.code).to.equal(0)
      expect(dry.stdout).to.contain('registration of paris')
      expect(await contents(folder)).to.deep.equal(before)
    }))

  it('an empty path, as an unset shell variable makes it, is refused: nothing is written into the present directory', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      const refused = [
        ['init', '--store', ''],
        ['status', '--store', ' '],
        ['serve', '--store', store, '--thanos-endpoints', ''],
        ['cluster', 'values', 'atlas', '--store', store, '--format', 'bootstrap', '--output', ''],
      ]
      await atlas('init', '--store', store)
      for (const args of refused) {
        const {code, stderr} = await atlas(...args)
        expect(code, args.join(' ')).to.equal(2)
        expect(stderr).to.match(/--(store|output|thanos-endpoints) is empty/)
      }
    }))

  it('bootstrap files have mode 0600 and hold a key; a Secret is printed on a terminal only if asked for', () =>
    inFolder(async folder => {
      const [store, out] = [path.join(folder, 'state'), path.join(folder, 'envoy')]
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', '--store', store)
      const bootstrap = await atlas('cluster', 'values', 'paris', '--store', store, '--format', 'bootstrap', '--output', out)
      expect(bootstrap.code, bootstrap.stderr).to.equal(0)
      expect(bootstrap.stderr).to.include(`Next: ulimit -n "$(ulimit -Hn)"; envoy -c ${out}/envoy.json`)
      expect(bootstrap.stderr, 'the files have mode 0600').to.include('its image runs as uid 101')
      expect(await readFile(path.join(out, 'envoy.json'), 'utf8')).to.include('"atlas.open_files": 65536')
      const files = await readdir(out, {recursive: true, withFileTypes: true})
      for (const file of files.filter(entry => entry.isFile())) {
        const {mode} = await stat(path.join(file.parentPath, file.name))
        expect(mode & 0o777, file.name).to.equal(0o600)
      }

      expect(await readFile(path.join(out, 'certs', 'tls.key'), 'utf8')).to.contain('PRIVATE KEY')
      const secret = await atlas('cluster', 'values', 'paris', '--store', store, '--format', 'secret')
      expect(secret.code, secret.stderr).to.equal(0)
      expect(secret.stdout).to.contain('kind: Secret').and.to.contain('kubernetes.io/tls')
    }))

  it('init refuses to write new settings where certificates were issued under settings that are gone', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--trust-domain', 'corp.example')
      await rm(path.join(folder, 'configmap-atlas-fleet.yaml'))
      const before = await contents(folder)
      const again = await atlas('init', '--store', folder)
      expect(again.code).to.equal(4)
      expect(again.stderr).to.contain('atlas-fleet').and.to.contain('backup')
      expect(await contents(folder)).to.deep.equal(before)
    }))

  it('each of three adds at the same time reports that it registered its cluster', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const added = await Promise.all(
        ['a', 'b', 'c'].map(async name => atlasJson<{created: boolean; changes: string[]}>('cluster', 'add', name, '--store', folder)),
      )
      expect(added.map(({value}) => value.created)).to.deep.equal([true, true, true])
      for (const [index, {value}] of added.entries()) expect(value.changes).to.include(`write the registration of ${'abc'[index] ?? ''}`)
    }))

  it('cluster add warns of a name that all replicas of Prometheus share, and of no other', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      const added = async (host: string): Promise<string> =>
        (await atlas('cluster', 'add', 'paris', '--store', folder, '--thanos', `${host}:10901`)).stderr
      for (const host of ['prometheus-operated.monitoring.svc', 'prometheus-operated', 'kps-thanos-discovery.monitoring.svc.'])
        expect(await added(host), host)
          .to.include(`Warning: ${host} is one name for all replicas`)
          .and.include('{replica}')
      for (const host of ['prometheus-k8s-0.prometheus-operated.monitoring.svc', 'sidecar.example'])
        expect(await added(host), host).not.to.include('Warning')
    }))

  it('cluster add --thanos-tls sets the TLS of the sidecars and of targets, keeps it, and takes it away', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      interface Tls {
        readonly cluster: {thanosTls?: string; targets: Record<string, {tls?: string}>}
      }
      const tlsAfter = async (...flags: string[]): Promise<unknown> => {
        const {cluster} = (await atlasJson<Tls>('cluster', 'add', 'paris', '--store', folder, ...flags)).value
        return [cluster.thanosTls, cluster.targets['store']?.tls]
      }
      const both = ['--thanos', 'store=store.x:10901', '--thanos-tls', 'store=internal', '--thanos-tls', 'openshift:prometheus-grpc']
      expect(await tlsAfter(...both)).to.deep.equal(['openshift:prometheus-grpc', 'internal'])
      expect(await tlsAfter('--thanos', 'store=other.x:10901')).to.deep.equal(['openshift:prometheus-grpc', 'internal'])
      const shown = await atlas('cluster', 'show', 'paris', '--store', folder)
      expect(shown.stdout).to.match(/thanos store +other\.x:10901, TLS with internal/)
      expect(await tlsAfter('--thanos-tls', 'store=none', '--thanos-tls', 'none')).to.deep.equal([undefined, undefined])
      for (const [wrong, says] of [
        ['other=internal', 'has no target "other" that could have TLS'],
        ['Not/a/name', '--thanos-tls must be NAME or NAME:SERVERNAME'],
      ] as const) {
        const refused = await atlas('cluster', 'add', 'paris', '--store', folder, '--thanos-tls', wrong)
        expect([refused.code, refused.stderr.includes(says)], refused.stderr).to.deep.equal([2, true])
      }
    }))

  it('cluster add on a broken registration starts from the last one that could be read', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      await atlas('cluster', 'add', 'paris', '--store', folder, '--address', '198.51.100.4', '--thanos', '127.0.0.1:10901')
      const file = path.join(folder, 'service-paris.yaml')
      await writeFile(file, (await readFile(file, 'utf8')).replace('198.51.100.4', '0.0.0.0'))
      const list = await atlas('cluster', 'list', '--store', folder)
      expect(list.stdout).to.match(/paris +unreadable/)
      const dry = await atlas('cluster', 'add', 'paris', '--store', folder, '--group', 'eu', '--dry-run')
      expect(dry.stdout + dry.stderr).to.match(/paris would be repaired: .*, with this change:\n.*group/)
      const repaired = await atlas('cluster', 'add', 'paris', '--store', folder)
      expect(repaired.stderr)
        .to.contain('Cluster paris is repaired: its registration could not be read')
        .and.not.to.contain('nothing changed')
      expect(await readFile(file, 'utf8')).to.contain('198.51.100.4')
      expect((await atlas('cluster', 'add', 'paris', '--store', folder)).stderr).to.contain('nothing changed')
      await writeFile(file, (await readFile(file, 'utf8')).replace('198.51.100.4', '0.0.0.0'))
      const added = await atlasJson<{cluster: {addresses: string[]; services: {thanos: string}; groups: string[]}}>(
        'cluster',
        'add',
        'paris',
        '--store',
        folder,
        '--group',
        'eu',
      )
      expect(added.value.cluster.addresses).to.deep.equal(['198.51.100.4'])
      expect(added.value.cluster.services.thanos).to.equal('127.0.0.1:10901')
      expect(added.value.cluster.groups).to.deep.equal(['eu'])
    }))

  it("an Envoy's files do not overwrite another's, and are not written where no directory can be made", () =>
    inFolder(async folder => {
      const [store, out] = [path.join(folder, 'state'), path.join(folder, 'envoy')]
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', '--store', store)
      await atlas('cluster', 'add', 'lyon', '--store', store)
      const bootstrap = async (name: string, ...args: string[]): Promise<number | null> =>
        (await atlas('cluster', 'values', name, '--store', store, '--format', 'bootstrap', ...args)).code
      expect(await bootstrap('paris', '--output', out)).to.equal(0)
      expect(await bootstrap('paris', '--output', out)).to.equal(0)
      const before = await readFile(path.join(out, 'certs', 'tls.key'), 'utf8')
      expect(await bootstrap('lyon', '--output', out)).to.equal(4)
      expect(await bootstrap('paris', '--output', out, '--node-id', 'paris-1')).to.equal(4)
      expect(await readFile(path.join(out, 'certs', 'tls.key'), 'utf8')).to.equal(before)
      expect(await bootstrap('paris', '--output', '/proc/atlas-test')).to.equal(1)
      for (const admin of ['0.0.0.0:9901', '127.0.0.1:9901', 'admin.sock', '@atlas', '/run/', `/${'a'.repeat(103)}`])
        expect(await bootstrap('paris', '--output', path.join(folder, 'b'), '--admin', admin), admin).to.equal(2)
      for (const stats of ['9902', 'localhost:9902', '10.0.0.7:0'])
        expect(await bootstrap('paris', '--output', path.join(folder, 'b'), '--stats', stats), stats).to.equal(2)
      for (const limit of ['1023', 'unlimited', '1e5'])
        expect(await bootstrap('paris', '--output', path.join(folder, 'b'), '--open-files', limit), limit).to.equal(2)
      for (const heap of ['1Gi', '134217727', '-1'])
        expect(await bootstrap('paris', '--output', path.join(folder, 'b'), '--max-heap-bytes', heap), heap).to.equal(2)
      expect(await bootstrap('paris', '--output', path.join(folder, 'heap'), '--max-heap-bytes', '4294967296')).to.equal(0)
      const [file, standard] = await Promise.all(['heap', 'envoy'].map(at => readFile(path.join(folder, at, 'envoy.json'), 'utf8')))
      expect(file).to.contain('"max_heap_size_bytes": "4294967296"')
      expect(standard).to.contain('"max_heap_size_bytes": "1073741824"')
      expect(await bootstrap('paris', '--output', path.join(folder, 'b'), '--node-id', 'a b')).to.equal(2)
      expect((await atlas('cluster', 'values', 'paris', '--store', store, '--output', out)).code).to.equal(2)
    }))

  it('an empty value, as an unset variable makes it, is refused', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder, '--address', '203.0.113.7')
      expect((await atlas('init', '--store', folder, '--address', '')).code).to.equal(2)
      expect((await atlas('cluster', 'add', 'paris', '--store', folder, '--address', '')).code).to.equal(2)
    }))
})

/** The text of every file by its name, to compare before and after. */
async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort()
  return Object.fromEntries(await Promise.all(names.map(async name => [name, await readFile(path.join(folder, name), 'utf8')] as const)))
}
