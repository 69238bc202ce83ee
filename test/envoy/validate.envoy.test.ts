/** A real Envoy of each supported version, set to refuse deprecated fields, validates every kind of snapshot and the bootstraps. */
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {clone, create, fromBinary, toBinary} from '@bufbuild/protobuf'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {BootstrapSchema} from '../../src/gen/envoy/config/bootstrap/v3/bootstrap_pb.js'
import {ClusterSchema} from '../../src/gen/envoy/config/cluster/v3/cluster_pb.js'
import {ListenerSchema} from '../../src/gen/envoy/config/listener/v3/listener_pb.js'
import {buildBootstrap} from '../../src/lib/envoy/bootstrap.js'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {bootstrapPaths, sdsFiles} from '../../src/lib/envoy/credential-files.js'
import type {Owner} from '../../src/lib/model/names.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {credentialSpec} from '../../src/lib/pki/certificate-specs.js'
import {issueCredential} from '../../src/lib/pki/issue.js'
import {resourcesOf} from '../../src/lib/xds/snapshot.js'
import {typeUrls} from '../../src/lib/xds/type-url.js'
import {inFolder} from '../helpers/atlas.js'
import {resourceJson} from '../helpers/envoy-json.js'
import {envoyProgram, envoyVersions, validate, validateFile} from '../helpers/envoy-program.js'
import {noDeprecated, staticBootstrap} from '../helpers/envoy-static.js'
import {certify} from '../helpers/kubernetes/certificates.js'
import {testAuthority} from '../helpers/pki.js'
import {certified} from './certified.js'
import {snapshotOf} from './fixture.js'
import {fleets, settings} from './fleets.js'

const now = new Date()

for (const version of envoyVersions)
  describe(`envoy ${version} --mode validate`, () => {
    for (const {name, says, fleet, node} of fleets) {
      const snapshot = snapshotOf(buildSnapshot(certified(fleet, now), node))

      it(`accepts ${name}: ${says}`, async () =>
        inFolder(async folder => {
          if (name === 'downstream-tls') await writeUpstream(folder)
          const text = JSON.stringify(staticBootstrap(snapshot)).replaceAll('/etc/atlas/envoy/upstream', folder)
          expectAccepted(await validate(text, version))
        }))

      const scopes = [...resourcesOf(snapshot, typeUrls.scope).values()]
      if (scopes.length > 0)
        it(`accepts each scope of ${name} as a route table of its own`, async () => {
          const tables = scopes.map(scope => (resourceJson(scope)['route_configuration'] ?? {}) as object)
          expectAccepted(await validate(JSON.stringify(withRoutes(tables)), version))
        })

      it(`accepts ${name} in binary form: field numbers are Envoy's, also of fields newer than 1.31`, async () => {
        const bootstrap = create(BootstrapSchema, {
          node: {id: 'test', cluster: 'test'},
          staticResources: {
            clusters: [...resourcesOf(snapshot, typeUrls.cluster).values()].map(({body}) => {
              const cluster = clone(ClusterSchema, fromBinary(ClusterSchema, body))
              delete cluster.transportSocket // its secrets come from ADS, which crashes a static cluster
              return cluster
            }),
            listeners: [...resourcesOf(snapshot, typeUrls.listener).values()].map(({body}) => fromBinary(ListenerSchema, body)),
          },
        })
        expectAccepted(await validate(toBinary(BootstrapSchema, bootstrap), version))
      })
    }

    for (const owner of ['atlas', parseClusterName('paris')] as const)
      it(`accepts the bootstrap of ${owner}, with its files`, async () => {
        await inFolder(async folder => {
          await writeFiles(folder, owner)
          const {accepted, said} = await validateFile(await envoyProgram(version), path.join(folder, bootstrapPaths.bootstrap))
          expectAccepted({accepted, said})
          expect(said).to.not.include('rejected')
        })
      })

    it("does not load the configuration of Thanos's guide, until its router has the type that docs/how-to/from-the-thanos-guide.md gives it", async () => {
      const page = await readFile(new URL('../../docs/how-to/from-the-thanos-guide.md', import.meta.url), 'utf8')
      const guide = load(await readFile(new URL('../fixtures/thanos-guide/envoy.yaml', import.meta.url), 'utf8'))
      const [, reason = ''] = /does not load in Envoy [^(]*\(`([^`]+)`\)/.exec(page) ?? []
      const refused = await validate(JSON.stringify(guide), version)
      expect(refused.accepted).to.equal(false)
      expect(reason).to.not.equal('')
      expect(refused.said).to.include(reason)
      const [typed] = load(/```yaml\n([^]*?)```/.exec(page)?.[1] ?? '[]') as readonly object[]
      const mended = JSON.stringify(guide).replace('{"name":"envoy.filters.http.router"}', JSON.stringify(typed))
      const {accepted, said} = await validate(mended, version)
      expect(accepted, said).to.equal(true)
    })

    it('refuses wrong configuration, so that the tests above can fail', async () => {
      const [first] = fleets
      if (first === undefined) throw new Error('there are fleets')
      const good = staticBootstrap(snapshotOf(buildSnapshot(certified(first.fleet, now), first.node)))
      const wrong = JSON.stringify(good).replace('"require_client_certificate":true', '"require_client_cert":true')
      const {accepted, said} = await validate(wrong, version)
      expect(accepted).to.equal(false)
      expect(said).to.include('require_client_cert')
      const deprecated = JSON.stringify(good).replace('"name":"ads-servers",', '"name":"ads-servers","dns_refresh_rate":"5s",')
      expect((await validate(deprecated, version)).said).to.include('Using deprecated option')
    })
  })

/** The certificates for Thanos endpoints: in a static bootstrap their files must be there. */
async function writeUpstream(folder: string): Promise<void> {
  const authority = await certify({name: 'authority'})
  const {certificate, key} = await certify({name: 'client', kind: 'client'}, authority)
  for (const name of ['internal', 'openshift']) {
    await mkdir(path.join(folder, name), {recursive: true})
    await writeFile(path.join(folder, name, 'ca.crt'), authority.certificate)
    await writeFile(path.join(folder, name, 'tls.crt'), certificate)
    await writeFile(path.join(folder, name, 'tls.key'), key)
  }
}

function expectAccepted({accepted, said}: {accepted: boolean; said: string}): void {
  expect(accepted, said).to.equal(true)
  expect(said).to.not.include('Using deprecated option')
}

/** The smallest bootstrap that holds route tables, each in a listener of its own. */
function withRoutes(tables: readonly object[]): object {
  const type = 'type.googleapis.com/envoy.extensions.filters'
  const managers = tables.map(table => ({
    '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'test',
    route_config: table,
    http_filters: [{name: 'router', typed_config: {'@type': `${type}.http.router.v3.Router`}}],
  }))
  return {
    static_resources: {
      listeners: managers.map((manager, index) => ({
        name: `test-${index}`,
        address: {socket_address: {address: '127.0.0.1', port_value: 10_000 + index}},
        filter_chains: [{filters: [{name: 'manager', typed_config: manager}]}],
      })),
    },
    layered_runtime: {layers: [{name: 'test', static_layer: noDeprecated}]},
  }
}

async function writeFiles(folder: string, owner: Owner): Promise<void> {
  const {root, credentialIssuer, signer} = testAuthority(now)
  const credential = issueCredential(credentialSpec(settings, owner, 1), credentialIssuer, [root.certificate], now, signer)
  await mkdir(path.join(folder, 'certs'))
  await mkdir(path.join(folder, 'sds'))
  const files = {
    [bootstrapPaths.certificate]: credential.certificate,
    [bootstrapPaths.key]: credential.key.reveal(),
    [bootstrapPaths.roots]: credential.roots,
    ...sdsFiles(folder),
    [bootstrapPaths.bootstrap]: buildBootstrap(settings, {owner, nodeId: `${owner}-0`, directory: folder, runtime: noDeprecated}),
  }
  for (const [file, text] of Object.entries(files)) await writeFile(path.join(folder, file), text)
}
