/** What the reference pages must have: every metric, every time limit with its default, every field of `status`; and links that lead somewhere. */
import {existsSync, readFileSync, readdirSync} from 'node:fs'
import path from 'node:path'
import {expect} from 'chai'
import {NEEDS_ATTENTION, exitCodes} from '../../src/lib/cli/text/error.js'
import {renderDuration} from '../../src/lib/model/duration.js'
import {rangeOf, settingNames} from '../../src/lib/model/setting-ranges.js'
import type {Status} from '../../src/lib/ops/status.js'
import {defaultDirectoryTimes} from '../../src/lib/store/directory/times.js'
import {defaultKubernetesTimes} from '../../src/lib/store/kubernetes/times.js'
import {openMetrics} from '../../src/server/metrics.js'
import {defaultTimes} from '../../src/server/options.js'
import {blocksOf} from '../helpers/page.js'

const root = path.join(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')
const pages = [
  'README.md',
  ...readdirSync(path.join(root, 'docs'), {recursive: true, encoding: 'utf8'})
    .filter(file => file.endsWith('.md'))
    .map(file => `docs/${file}`),
]

describe('docs/reference', () => {
  it('metrics.md has every metric of Atlas', async () => {
    const names = (await openMetrics().registry.getMetricsAsJSON()).map(({name}) => name).filter(name => name.startsWith('atlas_'))
    expect(names).to.include('atlas_leader')
    for (const name of names) expect(read('docs/reference/metrics.md')).to.include(`\`${name}\``)
  })

  it('settings.md has every time limit of a server, with its default', () => {
    const text = read('docs/reference/settings.md')
    for (const [key, milliseconds] of Object.entries({...defaultTimes, ...defaultDirectoryTimes, ...defaultKubernetesTimes})) {
      const name = key.replace(/Ms$/, '').replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
      const [, value = ''] = new RegExp(`^\\| \`${name}\` +\\| \`(\\w+)\``, 'm').exec(text) ?? []
      expect(value, name).to.equal(renderDuration(milliseconds / 1000))
    }
  })

  it('settings.md has the range of every duration that "init" sets', () => {
    const text = read('docs/reference/settings.md')
    for (const name of settingNames) {
      const [, shortest = '', longest = ''] = new RegExp(`^\\| \`${name}\` +\\| \`(\\w+)\` +\\| \`(\\w+)\``, 'm').exec(text) ?? []
      expect(`${shortest} to ${longest}`, name).to.equal(rangeOf(name))
    }
  })

  it('json.md and "atlas --help" have every exit code', () => {
    const {oclif} = JSON.parse(read('package.json')) as {readonly oclif: {readonly description: string}}
    expect(NEEDS_ATTENTION).to.equal(6)
    for (const [code, number] of [...Object.entries(exitCodes), ['', NEEDS_ATTENTION] as const]) {
      expect(oclif.description).to.match(new RegExp(`[:;] ${number} `))
      expect(read('docs/reference/json.md')).to.match(new RegExp(`^\\| ${code === '' ? '-' : `\`${code}\``} +\\| ${number} +\\|`, 'm'))
    }
  })

  it('json.md shows every field of status', async () => {
    const block = (await blocksOf('reference/json.md')).find(({heading, language}) => heading === 'status' && language === 'json')
    const fields: Record<keyof Status, true> = {
      servers: true,
      leader: true,
      proxies: true,
      withoutProxy: true,
      faults: true,
      refusals: true,
      warnings: true,
      findings: true,
      rotation: true,
    }
    expect(JSON.parse(block?.text ?? '')).to.have.all.keys(...Object.keys(fields))
  })
})

describe('kubectl apply', () => {
  it('is --server-side wherever pages, charts and messages print it: else a copy of a key stays in an annotation', () => {
    const sources = ['src', 'charts'].flatMap(folder =>
      readdirSync(path.join(root, folder), {recursive: true, encoding: 'utf8', withFileTypes: true})
        .filter(entry => entry.isFile())
        .map(entry => path.relative(root, path.join(entry.parentPath, entry.name))),
    )
    const printed = [...pages, ...sources].flatMap(file =>
      [...read(file).matchAll(/kubectl\b[^|`"'\n]*\bapply\b[^|`"'\n]*/g)].map(([command]) => `${file}: ${command}`),
    )
    expect(printed.length).to.be.greaterThan(10)
    expect(printed.filter(command => !command.includes('--server-side'))).to.deep.equal([])
  })
})

describe('docs/reference/refusals.md', () => {
  const page = read('docs/reference/refusals.md')
  /** The reasons in the first column of a part of the page. */
  const reasonsIn = (title: string): readonly string[] =>
    (page.split(/^## /m).find(part => part.startsWith(title)) ?? '')
      .split('\n')
      .filter(line => line.startsWith('| `'))
      .flatMap(line => [...(line.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, reason = '']) => reason))

  it('has a row for every reason of a denial by the server, and for no other', () => {
    const [, union = ''] = /export type DenialReason =([^;]*?)\n\n/.exec(read('src/server/mtls/denial.ts')) ?? []
    const reasons = [...union.matchAll(/'([-a-z]+)'/g)].map(([, reason = '']) => reason)
    expect(reasons).to.include('not-registered')
    expect(reasonsIn('By `atlas serve`')).to.have.members(reasons)
  })

  it('has a row for every reason that tests see in the access logs of a real Envoy', () => {
    const seen = readdirSync(path.join(root, 'test'), {recursive: true, encoding: 'utf8'})
      .filter(file => file.endsWith('.envoy.test.ts'))
      .map(file => read(`test/${file}`))
      .join('')
    const named = [...reasonsIn('By Envoy, in the TLS'), ...reasonsIn('By Envoy, after')]
    for (const reason of seen.matchAll(
      /(PEER_DID_NOT_RETURN_A_CERTIFICATE|certificate_has_expired|rbac_access_denied_matched_policy\[\w+\])/g,
    ))
      expect(named).to.include(reason[0])
    expect(named.some(reason => reason.startsWith('SAN_matcher'))).to.equal(true)
  })
})

describe('links in the documentation', () => {
  for (const page of pages)
    it(`of ${page} lead to pages and headings that there are`, () => {
      for (const [, target = '', fragment] of read(page).matchAll(/\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
        const file = target === '' ? path.join(root, page) : path.join(root, path.dirname(page), target)
        expect(existsSync(file), `${target} in ${page}`).to.equal(true)
        if (fragment !== undefined) expect(anchorsOf(readFileSync(file, 'utf8')), `#${fragment} in ${page}`).to.include(fragment)
      }
    })
})

/** As GitHub makes them of headings. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
