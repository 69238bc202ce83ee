import {acceptedPart} from '../../src/lib/model/cluster.js'
import {expect} from 'chai'
import fc, {type Arbitrary} from 'fast-check'
import {decodeEntry, entriesOf} from '../../src/lib/manifest/decode.js'
import {type Manifest, keyOf, parseManifest} from '../../src/lib/manifest/manifest.js'
import {parseYaml, renderYaml} from '../../src/lib/manifest/yaml.js'
import {hasKey} from '../../src/lib/model/authority.js'
import {parseAddress} from '../../src/lib/model/address.js'
import {reduceAll} from '../../src/lib/model/change.js'
import {checkCluster} from '../../src/lib/model/cluster.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {type Fleet, emptyFleet} from '../../src/lib/model/fleet.js'
import {parseClusterName, parseOwner} from '../../src/lib/model/names.js'
import {readKey} from '../../src/lib/pki/read.js'
import {plain} from '../helpers/fleet-changes.js'
import {testFleet, testDependencies} from '../helpers/dependencies.js'
import {readCertificate} from '../helpers/pki.js'
import {trickyTexts} from './arbitrary.js'
import {objectsOf, readTexts, textsOf} from './objects.js'

const fleet = testFleet(testDependencies(), ['paris', 'lyon'])
const objects = [...objectsOf(fleet).values()]
const texts = textsOf(fleet)

/** So many characters of a private key, as PEM or in a Secret's base64, in a row are key material. */
const WINDOW = 16
const keyWindows = new Set(
  [...fleet.authority.values(), ...fleet.identities.values(), ...fleet.credentials.values()].flatMap(({key}) => {
    const pem = key.reveal()
    const bodies = [pem.split('\n').slice(1, -2).join('\n'), Buffer.from(pem).toString('base64').slice(40)]
    return bodies.flatMap(body => Array.from({length: body.length - WINDOW}, (_, at) => body.slice(at, at + WINDOW)))
  }),
)

function expectNoKey(message: string): void {
  const shown = Array.from({length: Math.max(0, message.length - WINDOW + 1)}, (_, at) => message.slice(at, at + WINDOW))
  expect(
    shown.filter(each => keyWindows.has(each)),
    'a private key in a message',
  ).to.deep.equal([])
}

/** Faults are short, on one line, and show no key; what is not at fault is whole. */
function expectSound(found: Fleet): void {
  for (const [subject, fault] of found.faults) {
    expectNoKey(`${subject} ${fault.key} ${fault.message}`)
    expect(fault.message.length).to.be.lessThan(1000)
    expect(`${subject}${fault.message}`).not.to.match(/[\n\r\u0000]/)
  }

  for (const [name, cluster] of found.registrations) {
    expect(cluster.name).to.equal(parseClusterName(name))
    expect(cluster.replicas).to.be.within(1, 1000)
    checkCluster(cluster)
    for (const {host} of cluster.addresses) expect(parseAddress(host).host).to.equal(host)
  }

  for (const pair of [...found.authority.values(), ...found.identities.values(), ...found.credentials.values()])
    if (hasKey(pair)) expect(readKey(pair).keyMatches).to.equal(true)
    else expect(pair.key.reveal().trim()).to.equal('')
  for (const pem of [found.trust?.roots, found.trust?.issuers, found.trust?.credentialIssuers].flat())
    if (pem !== undefined) readCertificate(pem)
  for (const [owner, record] of found.records) {
    expect(parseOwner(owner)).to.equal(record.owner)
    expect(Number.isInteger(record.generation) && record.generation > 0).to.equal(true)
    for (const {notAfter} of record.credentials) expect(new Date(notAfter).toISOString()).to.equal(notAfter)
  }

  // What was accepted can be written, and comes back as it was; what has no effect is not written.
  const registrations = new Map([...found.registrations].map(([name, cluster]) => [name, acceptedPart(cluster)]))
  const good = {...found, registrations, faults: new Map()}
  expect(plain(readTexts(textsOf(good)))).to.deep.equal(plain(good))
}

/** Reads as a store does; whatever is wrong is an AtlasError or a fault. */
function read(text: string): Fleet {
  let manifest: Manifest
  try {
    manifest = parseManifest(parseYaml(text))
  } catch (error) {
    if (!(error instanceof AtlasError)) throw error
    expectNoKey(error.message)
    expect(error.message).not.to.match(/[\n\r]/)
    return emptyFleet
  }

  const changes = entriesOf(manifest).map(entry => decodeEntry(entry, keyOf(manifest), 'file.yaml'))
  return reduceAll(emptyFleet, changes)
}

const junk: Arbitrary<string> = fc.oneof(
  fc.string({unit: 'binary', maxLength: 20}),
  fc.constantFrom(...trickyTexts),
  fc.constantFrom(
    ': ',
    '- ',
    '\n',
    '\n\n',
    '  ',
    '\t',
    '|',
    '>',
    '&a ',
    '*a',
    '!!str ',
    '!<x> ',
    '---\n',
    '...\n',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '%',
    '<<: ',
    '? ',
  ),
)

/** Edits of a text: a part cut out, doubled or moved, junk put in. */
const edits = fc.array(
  fc.record({at: fc.nat(), length: fc.nat({max: 80}), junk, kind: fc.constantFrom('cut', 'double', 'insert', 'replace')}),
  {minLength: 1, maxLength: 4},
)

function edited(text: string, changes: typeof edits extends Arbitrary<infer T> ? T : never): string {
  return changes.reduce((present, {at, length, junk: put, kind}) => {
    const from = present.length === 0 ? 0 : at % present.length
    const part = present.slice(from, from + length)
    const middle = {cut: '', double: part + part, insert: put + part, replace: put}[kind]
    return present.slice(0, from) + middle + present.slice(from + length)
  }, text)
}

/** Everywhere in a value, by path. */
function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, held]) => pathsOf(held, [...path, key]))]
}

function withAt(value: unknown, [key, ...rest]: readonly string[], put: unknown): unknown {
  return key === undefined ? put : {...(value as object), [key]: withAt((value as Record<string, unknown>)[key], rest, put)}
}

describe('manifest: fuzz', function () {
  this.timeout(120_000)

  it('of text: faults, never a crash, never a wrong accept, never a key in a message', () => {
    fc.assert(
      fc.property(fc.constantFrom(...texts), edits, (text, changes) => {
        expectSound(read(edited(text, changes)))
      }),
      {numRuns: 600},
    )
  })

  it('of any text at all', () => {
    fc.assert(
      fc.property(fc.array(junk, {maxLength: 30}), parts => {
        expectSound(read(parts.join('')))
      }),
      {numRuns: 300},
    )
  })

  it('of fields: any value anywhere in an object', () => {
    const values = fc.oneof(
      fc.jsonValue({maxDepth: 2}),
      junk,
      fc.constantFrom(Number.NaN, Infinity, {toString: 1}, {toJSON: null}, [[[]]], 1e400, 2 ** 53),
      fc.constantFrom(...objects.flatMap(object => Object.values(object.data ?? {}))),
      fc.constantFrom('goatlas.io/addresses', 'constructor', '__proto__'),
    )
    fc.assert(
      fc.property(fc.constantFrom(...objects), fc.nat(), values, (object, at, value) => {
        const paths = pathsOf(object)
        expectSound(read(renderYaml(withAt(object, paths[at % paths.length] ?? [], value))))
      }),
      {numRuns: 600},
    )
  })

  it('of the fields that people write: a value is taken for what it is or not at all', () => {
    const service = objects.find(({kind}) => kind === 'Service')
    if (service === undefined) throw new Error('no Service')
    const notes = Object.keys(service.metadata.annotations ?? {})
    fc.assert(
      fc.property(
        fc.constantFrom(...notes, 'goatlas.io/ports'),
        fc.oneof(junk, fc.constantFrom('1,2', 'a:b', '[::1]', '1.2.3', '::', '11901=0', '11901=1,11901=2', '-1', '65536', '٣')),
        (note, text) => {
          expectSound(read(renderYaml(withAt(service, ['metadata', 'annotations', note], text))))
        },
      ),
      {numRuns: 600},
    )
  })
})

describe('manifest: a private key that stands where it does not belong', () => {
  const key = fleet.identities.get(parseClusterName('paris'))?.key.reveal() ?? ''
  const body = key.split('\n').slice(1, -2).join('')
  const misplaced: readonly (readonly [what: string, text: string])[] = [
    ['as the name of a key', `apiVersion: v1\nkind: Secret\nmetadata: {name: atlas-ca}\ndata:\n  ${body}: 1\n`],
    ['as an anchor', `a: &${body} 1\n`],
    ['as an alias', `a: *${body}\n`],
    ['as a tag', `a: !${body} b\n`],
    ['as a name twice', `${body}: 1\n${body}: 2\n`],
    ['as a block without indentation', `apiVersion: v1\nkind: Secret\nstringData:\n  tls.key: |\n${key}`],
    ['as a name’s text', `apiVersion: v1\nkind: Secret\nmetadata:\n  name: "${body}"\n`],
    ['in ca.crt', `apiVersion: v1\nkind: Secret\nmetadata: {name: paris-envoy-ads}\nstringData:\n  ca.crt: ${JSON.stringify(key)}\n`],
    ['as base64 that is cut', `apiVersion: v1\nkind: Secret\nmetadata: {name: atlas-ca}\ndata:\n  ca.pem: ${body.slice(0, 61)}\n`],
    ['as a record', `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: atlas-records-00}\ndata:\n  paris: ${JSON.stringify(key)}\n`],
  ]
  for (const [what, text] of misplaced)
    it(`${what} is not shown`, () => {
      const found = read(text)
      expectSound(found)
      expect(found.identities.size + found.credentials.size + found.authority.size).to.equal(0)
    })
})
