/** The import rules work: small wrong source trees, in a temporary folder, break each of them. */
import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {cruise, type IConfiguration, type ICruiseResult} from 'dependency-cruiser'
import rules from '../../.dependency-cruiser.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The rules that a source tree of these files breaks. */
async function brokenBy(files: Record<string, string>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-floors-'))
  try {
    for (const [name, content] of Object.entries({...files, 'package.json': '{"dependencies": {"node-forge": "1", "js-yaml": "5"}}'})) {
      mkdirSync(dirname(join(folder, name)), {recursive: true})
      writeFileSync(join(folder, name), content)
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    const {forbidden, options} = rules as Required<Pick<IConfiguration, 'forbidden' | 'options'>>
    const {tsConfig: _, ...others} = options
    const {output} = await cruise(['src'], {...others, baseDir: folder, validate: true, ruleSet: {forbidden}})
    return (output as ICruiseResult).summary.violations.map(({rule}) => rule.name)
  } finally {
    rmSync(folder, {recursive: true})
  }
}

const one = 'export const one = 1\n'

describe('the import rules', function () {
  this.timeout(60_000)

  it('allow imports of lower floors', async () => {
    const files = {
      'src/lib/model/a.ts': one,
      'src/lib/ops/b.ts': "import {one} from '../model/a.js'\nexport const two = one\n",
      'src/commands/c.ts': "import {two} from '../lib/ops/b.js'\nexport const three = two\n",
    }
    expect(await brokenBy(files)).to.deep.equal([])
  })

  const cases: Array<[what: string, rule: string, files: Record<string, string>]> = [
    ['an import upward', 'floor-0-never-looks-up', {'src/lib/ops/a.ts': one, 'src/lib/model/b.ts': "export {one} from '../ops/a.js'\n"}],
    [
      'a type imported upward',
      'floor-1-never-looks-up',
      {'src/lib/store/a.ts': 'export type A = 1\n', 'src/lib/xds/b.ts': "import type {A} from '../store/a.js'\nexport const b: A = 1\n"},
    ],
    [
      'a circle',
      'no-cycle',
      {'src/lib/pki/a.ts': "export {b} from './b.js'\n", 'src/lib/pki/b.ts': "import './a.js'\nexport const b = 1\n"},
    ],
    [
      'a disk in a pure room',
      'envoy-check-touches-no-world',
      {'src/lib/envoy/a.ts': "import {readFileSync} from 'node:fs'\nexport const a = readFileSync\n"},
    ],
    [
      'a network in the model',
      'model-touches-no-world',
      {'src/lib/model/a.ts': "import {connect} from 'node:tls'\nexport const a = connect\n"},
    ],
    ['forge outside of pki', 'forge-lives-in-its-room', {'src/server/a.ts': "import forge from 'node-forge'\nexport const a = forge\n"}],
    ['yaml outside of manifest', 'yaml-lives-in-its-room', {'src/lib/ops/a.ts': "import {load} from 'js-yaml'\nexport const a = load\n"}],
    [
      'a child process outside of the demo',
      'child-processes-lives-in-its-room',
      {'src/server/a.ts': "import {spawn} from 'node:child_process'\nexport const a = spawn\n"},
    ],
    [
      'a server in the command line',
      'server-and-cli-are-strangers',
      {'src/server/a.ts': one, 'src/lib/cli/b.ts': "export {one} from '../../server/a.js'\n"},
    ],
    [
      'generated code in ops',
      'generated-code-lives-in-its-room',
      {'src/gen/a.ts': one, 'src/lib/ops/b.ts': "export {one} from '../../gen/a.js'\n"},
    ],
    ['a development package', 'shipped-packages-only', {'src/server/a.ts': "import {expect} from 'chai'\nexport const a = expect\n"}],
    ['a file that nothing imports', 'no-orphan', {'src/lib/ops/a.ts': one}],
  ]
  for (const [what, rule, files] of cases)
    it(`refuse ${what}`, async () => {
      expect(await brokenBy(files)).to.include(rule)
    })
})
