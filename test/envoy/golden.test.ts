/** The configuration of each kind of node as readable files: test/golden/envoy. */
import {dump, load} from 'js-yaml'
import {buildBootstrap, type BootstrapOptions} from '../../src/lib/envoy/bootstrap.js'
import {buildSnapshot} from '../../src/lib/envoy/build.js'
import {sdsFiles} from '../../src/lib/envoy/credential-files.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import {snapshotJson} from '../helpers/envoy-json.js'
import {expectGolden} from '../helpers/golden.js'
import {snapshotOf} from './fixture.js'
import {fleets, settings} from './fleets.js'

describe('envoy: golden files', () => {
  for (const {name, says, fleet, node} of fleets)
    it(`${name}: ${says}`, () => expectGolden(`envoy/${name}.yaml`, yaml(says, snapshotJson(snapshotOf(buildSnapshot(fleet, node))))))

  const directory = '/etc/atlas/envoy'
  const bootstraps: Record<string, BootstrapOptions> = {
    'bootstrap-downstream': {
      owner: parseClusterName('paris'),
      nodeId: 'paris-0',
      directory,
      bindAddress: '0.0.0.0',
      localAddress: '10.0.0.7',
    },
    'bootstrap-observability': {
      owner: 'atlas',
      nodeId: 'atlas-envoy-0',
      directory,
      ports: new Map([[10_900, 20_900]]),
      adminSocket: '/run/atlas/admin.sock',
      stats: {host: '10.0.0.2', port: 19_902},
      maxHeapBytes: 2 * 1024 ** 3,
      runtime: {'envoy.features.fail_on_any_deprecated_feature': true},
    },
  }
  for (const [name, options] of Object.entries(bootstraps))
    it(name, () => expectGolden(`envoy/${name}.yaml`, yaml(`The bootstrap of ${options.nodeId}.`, load(buildBootstrap(settings, options)))))

  it('sds-files', () =>
    expectGolden(
      'envoy/sds-files.yaml',
      yaml(
        'The two SDS files beside a bootstrap, by path.',
        Object.fromEntries(Object.entries(sdsFiles(directory)).map(([path, text]) => [path, load(text)])),
      ),
    ))
})

function yaml(says: string, value: unknown): string {
  return `# ${says}\n${dump(value, {lineWidth: 140, noRefs: true})}`
}
