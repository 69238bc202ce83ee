import {mkdir, readFile, readdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import type {Adoption} from '../../src/lib/ops/goatlas/adopt.js'
import {atlas, atlasJson, inFolder} from '../helpers/atlas.js'
import {goatlasAuthority} from '../helpers/goatlas.js'
import {goatlasObjects} from '../helpers/goatlas-objects.js'

describe('commands: init where the 2021 program ran', function () {
  this.timeout(60_000)

  /** As `kubectl get -o yaml` would have saved it, one object in each file. */
  async function exported(folder: string): Promise<string> {
    const store = path.join(folder, 'state')
    await mkdir(store, {mode: 0o700})
    for (const manifest of goatlasObjects(goatlasAuthority()))
      await writeFile(path.join(store, `${manifest.kind}-${manifest.metadata.name}.yaml`.toLowerCase()), renderYaml(manifest), {
        mode: 0o600,
      })
    return store
  }

  it('--dry-run shows what will be adopted, in text, as manifests without a key, and in JSON; then it is adopted', () =>
    inFolder(async folder => {
      const store = await exported(folder)
      const files = async (): Promise<readonly string[]> =>
        Promise.all((await readdir(store)).filter(name => name.endsWith('.yaml')).map(name => readFile(path.join(store, name), 'utf8')))
      const before = await files()
      const dry = await atlas('init', '--store', store, '--address', '203.0.113.7', '--dry-run')
      expect(dry.code, dry.stderr).to.equal(0)
      expect(dry.stderr)
        .to.contain('Would be adopted from the 2021 program:')
        .and.to.contain('docs/how-to/migrate-from-goatlas.md')
        .and.to.contain('O=goatlas.io')
        .and.to.contain('both end on 2031-10-30')
        .and.to.contain('3 clusters: downstream1, downstream2, downstream3')
        .and.to.contain('atlas cluster add downstream2 --stack')
      expect(dry.stdout)
        .to.match(/^ {2}name: atlas-ca$/m)
        .and.to.match(/^ {2}namespace: monitoring$/m)
      expect(dry.stdout).not.to.match(/PRIVATE KEY|LS0tLS1/)
      expect(await files()).to.deep.equal(before)

      const {code, value} = await atlasJson<{created: boolean; adopted?: Adoption}>('init', '--store', store, '--address', '203.0.113.7')
      expect(code).to.equal(0)
      expect(value.created).to.equal(false)
      expect(value.adopted?.clusters).to.deep.equal(['downstream1', 'downstream2', 'downstream3'])
      const again = await atlas('init', '--store', store)
      expect(again.stderr).to.contain('nothing changed').and.not.to.contain('2021')

      const list = await atlas('cluster', 'list', '--store', store)
      expect(list.stdout)
        .to.match(/downstream1 +registered +unknown +1\.1\.1\.1 +1/)
        .and.to.match(/downstream2 +registered +unknown +198\.51\.100\.2 +2/)
    }))
})
