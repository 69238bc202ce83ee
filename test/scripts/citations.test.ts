/** The gate's rule on citations finds broken ones, and nothing else. */
import {expect} from 'chai'
import {badCitations} from '../../scripts/gate/citations.mjs'

const repository = {
  paths: ['docs/explanation/promises.md', 'docs/a.md', 'src/lib/pki/judge.ts', 'src/server/ads/stream.ts', 'test/README.md'],
  read: (path: string) =>
    ({
      'docs/a.md': '# A\n\n## Scoped routes, at last\n',
      'docs/explanation/promises.md': '# P\n\n## 6. Unknown is not removed\n',
      'src/lib/pki/judge.ts': 'export function judge() {}\nfunction reasons() {}\n',
    })[path],
}
const cited = (text: string, path = 'src/a.ts'): string[] => badCitations({path, text}, repository)

describe('gate: citations', () => {
  it('accepts pages, headings, promises and files that exist', () => {
    expect(cited('/** See docs/a.md, docs/a.md#scoped-routes-at-last, promise 6; judge.ts and ads/stream.ts do it. */')).to.deep.equal([])
    expect(cited('`src/lib/pki/judge.ts`, `src/lib`, `test/README.md`', 'docs/b.md')).to.deep.equal([])
  })

  it('names file and line of a page, a heading and a promise that do not exist', () => {
    expect(cited('//\n// docs/b.md')).to.deep.equal(['src/a.ts:2: docs/b.md: there is no such page'])
    expect(cited('// docs/a.md#tunnels')).to.deep.equal(['src/a.ts:1: docs/a.md#tunnels: the page has no such heading'])
    expect(cited('// promise 66')).to.deep.equal(['src/a.ts:1: promise 66: docs/explanation/promises.md has no such number'])
  })

  it('refuses pages that only the authors have', () => {
    for (const text of ['facts/envoy.md 4', 'design, part 7', 'the design part 3', '/work/shared/x.md', '../shared/y.md'])
      expect(cited(`// ${text}`), text).to.have.length(1)
  })

  it('finds a file or a name that was renamed, in comments and in pages, and ignores strings', () => {
    expect(cited('/** Decided in judgement.ts. */')).to.deep.equal(['src/a.ts:1: judgement.ts: there is no such file'])
    expect(cited("const globs = ['**/*.ts', 'judgement.ts'] // a list")).to.deep.equal([])
    expect(cited('`judge` and `reasons` in `src/lib/pki/judge.ts`', 'docs/b.md')).to.deep.equal([])
    expect(cited('`judge` and `reason` in `src/lib/pki/judge.ts`', 'docs/b.md')).to.have.length(1)
    expect(cited('`src/lib/pki/judgement.ts`, `judgement.ts`, `pki/judge.ts`', 'docs/b.md')).to.have.length(2)
  })
})
