/** The files of the charts, without rendering: versions, values and their documentation. */
import {readFileSync} from 'node:fs'
import path from 'node:path'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {chartFolder, charts, ciNames} from './support/rendered.js'

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
}

const text = (chart: 'atlas' | 'envoy', file: string): string => readFileSync(path.join(chartFolder(chart), file), 'utf8')
const version = (JSON.parse(readFileSync(path.join(chartFolder('atlas'), '../../package.json'), 'utf8')) as {version: string}).version

for (const chart of charts)
  describe(`chart ${chart}`, () => {
    const values = load(text(chart, 'values.yaml')) as Record<string, unknown>
    const schema = JSON.parse(text(chart, 'values.schema.json')) as Schema & {readonly $schema: string}

    it('has the version of the package', () => {
      const {version: own, appVersion} = load(text(chart, 'Chart.yaml')) as Record<string, unknown>
      expect([own, appVersion]).to.deep.equal([version, version])
    })

    it('validates its values with a draft-07 schema without outside references', () => {
      expect(schema.$schema).to.equal('http://json-schema.org/draft-07/schema#')
      expect(JSON.stringify(schema)).to.not.include('$ref')
    })

    it('has a default and a rule for every value, and admits no other', () => {
      // Required values have no default; `global` is Helm's own.
      const required = chart === 'envoy' ? ['cluster', 'existingSecret', 'ads'] : []
      expect([...pathsOf(values)].sort()).to.deep.equal([...pathsIn(schema, [...required, 'global'])].sort())
    })

    it('has every value explained in its reference', () => {
      const reference = readFileSync(path.join(chartFolder(chart), '../../docs/reference/charts.md'), 'utf8')
      const section = reference.split(/^## /m).find(part => part.startsWith(`Chart \`${chart}\``)) ?? ''
      const missing = [...pathsIn(schema, ['global'])].filter(value => !isExplained(section, value))
      expect(missing).to.deep.equal([])
    })

    it('explains each of its examples', () => {
      expect(ciNames(chart)).to.include.members(['default', 'nodeport', 'one-replica'])
      for (const name of ciNames(chart)) expect(text(chart, `ci/${name}-values.yaml`), name).to.match(/^# [A-Z].*[.)]\n/)
    })
  })

/** Paths of values that the schema has rules for; a map that may hold anything is one value. */
function* pathsIn(schema: Schema, without: readonly string[], at = ''): Generator<string> {
  if (schema.type !== 'object' || schema.properties === undefined) {
    yield at
    return
  }

  expect(schema.additionalProperties, at).to.equal(false)
  for (const [name, inner] of Object.entries(schema.properties)) {
    const here = at === '' ? name : `${at}.${name}`
    if (!without.includes(here)) yield* pathsIn(inner, without, here)
  }
}

/** Blocks that Kubernetes defines, and maps that the user fills, are one value. */
const whole = /(^|\.)(httpRoute\.timeouts|resources|podSecurityContext|securityContext|mesh\.labels|mesh\.annotations)$/

function* pathsOf(value: unknown, at = ''): Generator<string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0 || whole.test(at)) {
    yield at
    return
  }

  for (const [name, inner] of Object.entries(value)) yield* pathsOf(inner, at === '' ? name : `${at}.${name}`)
}

/** By its own name in a table, or by that of the block it stands in: `ads.*`. */
function isExplained(section: string, value: string): boolean {
  const blocks = value.split('.').map((_, index, parts) => `${parts.slice(0, index).join('.')}.*`)
  return [value, ...blocks].some(name => section.includes(`\`${name}\``))
}
