import {expect} from 'chai'
import fc from 'fast-check'
import {AtlasError} from '../../src/lib/model/errors.js'
import {listenedPort, parseNode} from '../../src/lib/model/node.js'
import {thrownBy} from '../helpers/thrown.js'

describe('model/node', () => {
  it('parseNode() gives the defaults of a node that says nothing', () => {
    const node = parseNode({cluster: 'paris', id: 'envoy-0', metadata: {}})
    expect(node).to.deep.equal({cluster: 'paris', id: 'envoy-0', bindAddress: '0.0.0.0', localAddress: '127.0.0.1', ports: new Map()})
    expect(listenedPort(node, 11_901)).to.equal(11_901)
  })

  it('parseNode() reads addresses and ports, and ignores what it does not know', () => {
    const metadata = {'atlas.bind_address': '::', 'atlas.local_address': '127.0.1.2', 'atlas.ports': {10900: 20_900}, other: [1]}
    const node = parseNode({cluster: 'atlas', id: 'x', metadata})
    expect(node.bindAddress).to.equal('::')
    expect(node.localAddress).to.equal('127.0.1.2')
    expect(listenedPort(node, 10_900)).to.equal(20_900)
  })

  it('parseNode() reads the limit of open files and the number of workers, and takes nothing else for them', () => {
    const limitsOf = (metadata: object) => {
      const {openFiles, workers} = parseNode({cluster: 'paris', id: 'x', metadata})
      return [openFiles, workers]
    }
    expect(limitsOf({'atlas.open_files': 65_536, 'atlas.workers': 4})).to.deep.equal([65_536, 4])
    for (const odd of ['65536', 0, -1, 1.5, 2e9, null, []])
      expect(limitsOf({'atlas.open_files': odd, 'atlas.workers': odd}), JSON.stringify(odd)).to.deep.equal([undefined, undefined])
  })

  it('parseNode() reads the limit of the heap, which is above the largest count', () => {
    const limitOf = (limit: unknown) => parseNode({cluster: 'atlas', id: 'x', metadata: {'atlas.max_heap_bytes': limit}}).maxHeapBytes
    expect(limitOf(3 * 1024 ** 3)).to.equal(3 * 1024 ** 3)
    for (const odd of ['1073741824', 0, -1, 1.5, 2e15, null]) expect(limitOf(odd), String(odd)).to.equal(undefined)
  })

  it('parseNode() reads which certificates an Envoy has for Thanos endpoints, and refuses what is none', () => {
    const read = (claim: unknown) => parseNode({cluster: 'paris', id: 'x', metadata: {'atlas.upstream_tls': claim}}).upstreamTls
    const client = {openshift: true, internal: false}
    expect(read({directory: '/etc/x', client})).to.deep.equal({
      directory: '/etc/x',
      certificates: new Map([
        ['internal', {isClient: false}],
        ['openshift', {isClient: true}],
      ]),
    })
    const many = Object.fromEntries(Array.from({length: 33}, (_each, index) => [`n${index}`, true]))
    for (const odd of [1, [], {}, {directory: 'x', client}, {directory: '/x', client: {'../y': true}}, {directory: '/x', client: {y: 1}}])
      expect(() => read(odd), JSON.stringify(odd)).to.throw('node metadata atlas.upstream_tls must be')
    expect(() => read({directory: '/x', client: many})).to.throw('at most 32 names')
  })

  it('parseNode() reads the version of an Envoy, and takes nothing else for one', () => {
    const versionOf = (claim: object) => parseNode({cluster: 'paris', id: 'x', metadata: {}, ...claim}).envoyVersion
    const version = {major: 1, minor: 38, patch: 3}
    expect(versionOf({userAgent: 'envoy', version})).to.equal('1.38.3')
    expect(versionOf({userAgent: 'envoy'})).to.equal(undefined)
    expect(versionOf({version})).to.equal(undefined)
    expect(versionOf({userAgent: 'gRPC', version})).to.equal(undefined)
    for (const odd of [{major: 0}, {minor: 4_294_967_295}, {patch: 0.5}, {major: Number.NaN}, {patch: -1}])
      expect(versionOf({userAgent: 'envoy', version: {...version, ...odd}}), JSON.stringify(odd)).to.equal(undefined)
  })

  const bad: [string, object][] = [
    ['an empty id', {id: ''}],
    ['an id with a line break', {id: 'a\nb'}],
    ['a long id', {id: 'x'.repeat(129)}],
    ['a cluster name that can not be', {cluster: 'No'}],
    ['a name for an address', {metadata: {'atlas.bind_address': 'example.net'}}],
    ['a number for an address', {metadata: {'atlas.local_address': 1}}],
    ['a list of ports', {metadata: {'atlas.ports': [1]}}],
    ['a port of 0', {metadata: {'atlas.ports': {10900: 0}}}],
    ['a port in text', {metadata: {'atlas.ports': {10900: '1'}}}],
    ['a listened port that is no port', {metadata: {'atlas.ports': {x: 1}}}],
  ]
  for (const [what, differing] of bad) {
    it(`parseNode() refuses ${what}`, () => {
      expect(thrownBy(() => parseNode({cluster: 'paris', id: 'x', metadata: {}, ...differing})).code).to.equal('invalid')
    })
  }

  it('never throws anything but an AtlasError', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({unit: 'binary'}), fc.anything(), (cluster, id, value) => {
        try {
          parseNode({cluster, id, metadata: {'atlas.ports': value, 'atlas.bind_address': value}})
        } catch (error) {
          expect(error).to.be.instanceOf(AtlasError)
        }
      }),
    )
  })
})
