import {readFile, rename, stat} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {atlas, atlasJson, forAll, inFolder} from '../helpers/atlas.js'
import type {Ran} from '../helpers/ran.js'
import {bootstrapPaths} from '../../src/lib/envoy/credential-files.js'
import packageJson from '../../package.json' with {type: 'json'}

interface Named {
  kind: string
  metadata: {name: string; namespace?: string}
  spec: Record<string, unknown>
  data?: Record<string, string>
}

const withParis = async (use: (values: (...args: string[]) => Promise<Ran>, store: string) => Promise<void>): Promise<void> =>
  inFolder(async folder => {
    const store = path.join(folder, 'state')
    await atlas('init', '--store', store, '--address', '203.0.113.7')
    const added = await atlas('cluster', 'add', 'paris', '--store', store)
    expect(added.code, added.stderr).to.equal(0)
    await use((...args) => atlas('cluster', 'values', 'paris', '--store', store, ...args), store)
  })

const objectsOf = (ran: Ran): Named[] => {
  expect(ran.code, ran.stderr).to.equal(0)
  return loadAll(ran.stdout) as Named[]
}

describe('commands: cluster values', function () {
  this.timeout(60_000)

  it('each format prints its objects on stdout, the same bytes each time, and a key only in the Secrets', () =>
    withParis(async values => {
      const kinds = {
        'helm-chart': ['HelmChart kube-system/atlas-envoy'],
        'helm-release': ['OCIRepository atlas/atlas-envoy', 'HelmRelease atlas/atlas-envoy'],
        'argo-application': ['Application argocd/paris-envoy'],
        secret: ['Secret atlas/paris-envoy-ads'],
        manifest: ['Secret atlas/paris-envoy-ads', 'Secret atlas/paris-envoy-values'],
      }
      await forAll(Object.entries(kinds), async ([format, wanted]) => {
        const ran = await values('--format', format)
        const objects = objectsOf(ran)
        expect(objects.map(each => `${each.kind} ${each.metadata.namespace}/${each.metadata.name}`)).to.deep.equal(wanted)
        expect((await values('--format', format)).stdout, format).to.equal(ran.stdout)
        const hasKey = objects.some(({data}) =>
          Buffer.from(data?.['tls.key'] ?? '', 'base64')
            .toString()
            .includes('PRIVATE KEY'),
        )
        expect(hasKey, format).to.equal(format === 'secret' || format === 'manifest')
        if (!hasKey) expect(ran.stderr, format).to.contain('Secret paris-envoy-ads in namespace atlas')
      })
    }))

  it('files of an Envoy that are written again keep the flags that are not named, and git takes none of their keys', () =>
    withParis(async (values, store) => {
      const out = path.join(path.dirname(store), 'envoy')
      const write = async (...flags: string[]): Promise<string> => {
        const ran = await values('--format', 'bootstrap', '--output', out, ...flags)
        expect(ran.code, ran.stderr).to.equal(0)
        return ran.stderr
      }
      const bootstrap = async (): Promise<string> => readFile(path.join(out, 'envoy.json'), 'utf8')
      const flags = ['--node-id', 'paris-7', '--bind-address', '10.0.0.7', '--port', '11901=21901', '--envoy-directory', '/etc/envoy-paris']
      const first = await write(...flags, '--open-files', '4096')
      expect(first).to.contain('.gitignore: rules for the private keys').and.not.to.contain('Kept')
      expect((await stat(out)).mode & 0o777).to.equal(0o700)
      expect(await readFile(path.join(out, '.gitignore'), 'utf8')).to.contain('\n/certs/tls.key\n')
      const before = await bootstrap()
      const again = await write()
      expect(await bootstrap()).to.equal(before)
      expect(again).to.contain(
        'Kept from the files that were there: --envoy-directory /etc/envoy-paris --node-id paris-7 --bind-address 10.0.0.7 --port 11901=21901 --open-files 4096.',
      )
      expect(again).to.contain('envoy -c /etc/envoy-paris/envoy.json').and.not.to.contain('.gitignore')
      await write('--bind-address', '10.0.0.8')
      expect(await bootstrap()).to.equal(before.replaceAll('10.0.0.7', '10.0.0.8'))
      const json = await atlasJson(
        'cluster',
        'values',
        'paris',
        '--store',
        store,
        '--format',
        'bootstrap',
        '--output',
        out,
        '--port',
        '11901=31901',
      )
      expect(json.value['kept']).to.include('--bind-address 10.0.0.8').and.not.to.include('--port 11901=21901')
    }))

  it('files that were moved are written again for where they are now; a directory that was named stays, and is told', () =>
    withParis(async (values, store) => {
      const [first, moved] = ['m1', 'm2'].map(name => path.join(path.dirname(store), name)) as [string, string]
      const write = async (output: string, ...flags: string[]): Promise<string> => {
        const ran = await values('--format', 'bootstrap', '--output', output, ...flags)
        expect(ran.code, ran.stderr).to.equal(0)
        return ran.stderr
      }
      await write(first, '--bind-address', '10.0.0.7')
      await rename(first, moved)
      const again = await write(moved)
      expect(again)
        .to.contain(`envoy -c ${moved}/envoy.json`)
        .and.to.contain('Kept from the files that were there: --bind-address 10.0.0.7.')
      for (const file of [bootstrapPaths.bootstrap, bootstrapPaths.sdsCredential])
        expect(await readFile(path.join(moved, file), 'utf8'), file)
          .to.contain(moved)
          .and.not.to.contain(first)

      const named = await write(moved, '--envoy-directory', '/etc/envoy-paris')
      expect(named).not.to.contain('Kept from the files that were there: --envoy-directory')
      await rename(moved, first)
      const elsewhere = await write(first)
      expect(elsewhere).to.contain('--envoy-directory /etc/envoy-paris').and.to.contain('envoy -c /etc/envoy-paris/envoy.json')
      expect(elsewhere).to.contain('Name --envoy-directory if the files have moved')
    }))

  it("releases the chart of this program's version by default, and accepts every flag of its format", () =>
    withParis(async values => {
      const [chart] = objectsOf(await values('--format', 'helm-chart'))
      expect(chart?.spec['version']).to.equal(packageJson.version)
      const mirror = ['--chart', 'oci://registry.example.net/mirror/envoy', '--chart-version', '9.8.7', '--release', 'edge']
      const named = [...mirror, '--release-namespace', 'monitoring']

      const [k3s] = objectsOf(await values('--format', 'helm-chart', ...named))
      expect(k3s?.metadata.name).to.equal('edge')
      expect(k3s?.spec).to.include({chart: 'oci://registry.example.net/mirror/envoy', version: '9.8.7', targetNamespace: 'monitoring'})

      const [source, helm] = objectsOf(await values('--format', 'helm-release', '--flux-interval', '1h', ...named))
      expect(source?.metadata).to.deep.equal({name: 'edge', namespace: 'monitoring'})
      expect(source?.spec).to.include({interval: '1h', url: 'oci://registry.example.net/mirror/envoy'})
      expect(helm?.spec).to.include({interval: '1h', releaseName: 'edge'})

      const argo = ['--argo-destination', 'paris-prod', '--argo-namespace', 'openshift-gitops', '--argo-project', 'edge']
      const [application] = objectsOf(await values('--format', 'argo-application', ...argo, ...named))
      expect(application?.metadata.namespace).to.equal('openshift-gitops')
      expect(application?.spec['project']).to.equal('edge')
      expect(application?.spec['destination']).to.deep.equal({name: 'paris-prod', namespace: 'monitoring'})
      expect(application?.spec['source']).to.include({repoURL: 'registry.example.net/mirror', chart: 'envoy', targetRevision: '9.8.7'})

      for (const format of ['secret', 'manifest'])
        for (const {metadata} of objectsOf(await values('--format', format, '--release-namespace', 'monitoring')))
          expect(metadata.namespace, format).to.equal('monitoring')
    }))

  it("the observability Envoy's Secret stays where Atlas is", () =>
    withParis(async (_, store) => {
      const [secret] = objectsOf(await atlas('cluster', 'values', 'atlas', '--store', store, '--format', 'secret'))
      expect(secret?.metadata).to.include({name: 'atlas-envoy-ads', namespace: 'atlas'})
    }))

  it('JSON holds the printed text, and a key only with --show-secrets', () =>
    withParis(async (values, store) => {
      await forAll(['helm-chart', 'helm-release', 'argo-application', 'secret', 'manifest'], async format => {
        const args = ['cluster', 'values', 'paris', '--store', store, '--format', format]
        const holdsKey = format === 'secret' || format === 'manifest'
        const refused = await atlasJson<{error?: {message: string}; manifest?: string}>(...args)
        expect(refused.code, format).to.equal(holdsKey ? 2 : 0)
        if (holdsKey) expect(refused.value.error?.message).to.contain('refusing to print a private key')
        const shown = await atlasJson<{manifest: string}>(...args, ...(holdsKey ? ['--show-secrets'] : []))
        expect(shown.value).to.deep.equal({format, cluster: 'paris', manifest: (await values('--format', format)).stdout})
      })
    }))

  const refused: readonly [string[], RegExp][] = [
    [['--chart', 'oci://h/x'], /--chart works only with --format helm-chart, helm-release or argo-application/],
    [['--format', 'secret', '--release', 'x'], /--release works only with/],
    [['--release-namespace', 'x'], /--release-namespace works only with --format secret, manifest, helm-chart/],
    [['--format', 'bootstrap', '--output', 'x', '--release-namespace', 'x'], /--release-namespace works only with/],
    [['--format', 'helm-chart', '--flux-interval', '1h'], /--flux-interval works only with --format helm-release/],
    [['--format', 'helm-release', '--argo-project', 'x'], /--argo-project works only with --format argo-application/],
    [['--format', 'argo-application', '--node-id', 'x'], /--node-id works only with --format bootstrap/],
    [['--show-secrets'], /--show-secrets works only with --format secret or manifest/],
    [['--format', 'helm-chart', '--chart', 'https://example.net/envoy'], /--chart must be a chart in an OCI registry/],
    [['--format', 'helm-chart', '--chart-version', 'latest'], /--chart-version must be a version/],
    [['--format', 'helm-release', '--release', 'Edge'], /--release must be/],
    [['--format', 'secret', '--release-namespace', 'a.b'], /--release-namespace must be the name of a Kubernetes namespace/],
    [['--format', 'helm-release', '--flux-interval', '1d'], /--flux-interval must be/],
    [['--format', 'argo-application', '--argo-destination', 'a b'], /--argo-destination must be/],
    [['--format', 'kustomize'], /kustomize/],
  ]
  it('refuses a flag that does not belong to the format, and an invalid value', () =>
    withParis(async values => {
      await forAll(refused, async ([args, text]) => {
        const ran = await values(...args)
        expect(ran.code, args.join(' ')).to.equal(2)
        expect(ran.stderr, args.join(' ')).to.match(text)
        expect(ran.stdout, args.join(' ')).to.equal('')
      })
    }))

  it('without an address to connect to, only the Secret is printed', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      await atlas('cluster', 'add', 'paris', '--store', folder)
      await forAll(['raw', 'helm-chart', 'helm-release', 'argo-application', 'manifest'], async format => {
        const ran = await atlas('cluster', 'values', 'paris', '--store', folder, '--format', format)
        expect(ran.code, format).to.equal(1)
        expect(ran.stderr, format).to.contain('atlas init --address')
        expect(ran.stdout, format).to.equal('')
      })

      expect((await atlas('cluster', 'values', 'paris', '--store', folder, '--format', 'secret')).code).to.equal(0)
    }))
})
