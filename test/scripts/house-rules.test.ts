/** The lint rules of this repository find their faults, and nothing else. */
import {expect} from 'chai'
import {Linter} from 'eslint'
import tseslint from 'typescript-eslint'
import house from '../../scripts/gate/house-rules.mjs'

function complaints(rule: string, code: string): string[] {
  const config = {
    files: ['**/*.ts'],
    languageOptions: {parser: tseslint.parser},
    plugins: {house},
    rules: {[`house/${rule}`]: 'error'},
  } as unknown as Linter.Config
  return new Linter().verify(code, config, 'a.ts').map(({message}) => message)
}

describe('house rules', () => {
  it('first-line-says-what requires a comment on the first line', () => {
    expect(complaints('first-line-says-what', '/** Says what. */\nexport const a = 1\n')).to.deep.equal([])
    expect(complaints('first-line-says-what', '// says what\nexport const a = 1\n')).to.deep.equal([])
    expect(complaints('first-line-says-what', '#!/usr/bin/env node\n/** Says what. */\n')).to.deep.equal([])
    expect(complaints('first-line-says-what', 'export const a = 1\n/** Too late. */\n')).to.have.length(1)
  })

  it('exports-are-explained requires a docstring on a longer exported function, once for its overloads', () => {
    const body = `{${'\n'.repeat(7)}}`
    expect(complaints('exports-are-explained', `/** One. */\nexport function f() ${body}\nfunction g() ${body}`)).to.deep.equal([])
    expect(
      complaints('exports-are-explained', `/** A. */\nexport function f(a: string): void\nexport function f(a: unknown) ${body}`),
    ).to.deep.equal([])
    expect(complaints('exports-are-explained', 'export function isPending() { return 1 }')).to.deep.equal([])
    expect(complaints('exports-are-explained', `// no docstring\nexport function f() ${body}`)).to.have.length(1)
  })

  it('no-boolean-positions accepts options and results', () => {
    expect(complaints('no-boolean-positions', 'function f({a}: {a: boolean}): boolean { return a }')).to.deep.equal([])
    expect(complaints('no-boolean-positions', 'function f(a: boolean) {}')).to.have.length(1)
    expect(complaints('no-boolean-positions', 'function f(a: boolean = true) {}')).to.have.length(1)
  })
})
