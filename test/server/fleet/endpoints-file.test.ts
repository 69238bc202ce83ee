/** The files that `serve --thanos-endpoints` keeps. */
import {mkdtemp, readFile, readdir, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {type Change, reduceAll} from '../../../src/lib/model/change.js'
import {planReconcile} from '../../../src/lib/ops/reconcile.js'
import {openEndpointsFiles} from '../../../src/server/fleet/endpoints-file.js'
import {testFleet, testDependencies, testSettings} from '../../helpers/dependencies.js'
import {testCluster} from '../../helpers/fleet.js'

describe('endpoints files', () => {
  const dependencies = testDependencies()
  const log = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined}
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-endpoints-'))
  })
  afterEach(async () => rm(folder, {recursive: true}))

  it('of each group that is listed is beside the one of all clusters', async () => {
    const before = testFleet(dependencies, ['paris', 'tokyo'], {...testSettings, groups: ['asia', 'europe']})
    const paris = testCluster('paris', {groups: ['europe', 'unlisted']})
    const changed = reduceAll(before, [{kind: 'registration', name: paris.name, value: paris} satisfies Change])
    const files = openEndpointsFiles(path.join(folder, 'query.yaml'), log)
    files.started?.(reduceAll(changed, planReconcile(changed, dependencies)))
    await files.settled()
    expect((await readdir(folder)).sort()).to.deep.equal(['query-asia.yaml', 'query-europe.yaml', 'query.yaml'])
    const read = async (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8')
    expect(await read('query-asia.yaml')).to.equal('endpoints: []\n')
    expect(await read('query-europe.yaml'))
      .to.include('paris-thanos-sidecar0')
      .and.not.to.include('tokyo')
    expect(await read('query.yaml'))
      .to.include('paris-thanos-sidecar0')
      .and.to.include('tokyo-thanos-sidecar0')
  })

  it('that can not be written is a problem that is named', async () => {
    const fleet = testFleet(dependencies, ['paris'])
    const errors: string[] = []
    const files = openEndpointsFiles(path.join(folder, 'missing', 'query.yaml'), {...log, error: text => errors.push(text)})
    files.started?.(fleet)
    await files.settled()
    expect(files.problem()).to.include('query.yaml')
    // Each change tries again, and the log has the same failure once.
    for (const name of ['lyon', 'oslo']) {
      files.started?.(testFleet(dependencies, ['paris', name]))
      await files.settled()
    }
    expect(errors).to.have.length(1)
  })
})
