import {expect} from 'chai'
import fc from 'fast-check'
import {isDnsName} from '../../src/lib/model/address.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {
  CLUSTER_NAME_MAX,
  REPLICAS_MAX,
  objectNames,
  parseClusterName,
  parseNewClusterName,
  parseOwner,
  sidecarName,
  sni,
  spiffe,
} from '../../src/lib/model/names.js'
import {parseTrustDomain} from '../../src/lib/model/settings.js'
import {thrownBy} from '../helpers/thrown.js'

describe('model/names', () => {
  describe('parseClusterName()', () => {
    for (const good of ['a', 'paris', 'eu-west-1', 'p4r1s', 'atlas-old', 'a'.repeat(CLUSTER_NAME_MAX)]) {
      it(`takes ${good}`, () => {
        expect(parseClusterName(good)).to.equal(good)
      })
    }

    const bad = [
      '',
      'Paris',
      '1paris',
      '-paris',
      'paris-',
      'pa_ris',
      'pa.ris',
      'pa ris',
      'paris\n',
      'parís',
      'atlas',
      'x-thanos-sidecar',
      'x-thanos-sidecar0',
      'a'.repeat(CLUSTER_NAME_MAX + 1),
    ]
    for (const text of bad) {
      it(`refuses ${JSON.stringify(text)} and says what it got`, () => {
        const error = thrownBy(() => parseClusterName(text))
        expect(error.code).to.equal('invalid')
        expect(error.message).to.match(/^a cluster name must be .*; got "/)
      })
    }

    it('gives only names whose every derived name is a DNS label of at most 63 characters', () => {
      fc.assert(
        fc.property(fc.string({unit: fc.constantFrom(...'abz019-.A_'), maxLength: 60}), text => {
          let name
          try {
            name = parseClusterName(text)
          } catch (error) {
            expect(error).to.be.instanceOf(AtlasError)
            return
          }

          const derived = [
            sidecarName(name, REPLICAS_MAX - 1),
            objectNames.credential(name),
            `${name}-envoy-values`,
            sni.downstream('atlas.internal', name).split('.')[0] ?? '',
          ]
          for (const label of derived) expect(label).to.match(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/)
        }),
      )
    })

    it('never throws anything but an AtlasError', () => {
      fc.assert(
        fc.property(fc.string({unit: 'binary'}), text => {
          try {
            expect(parseClusterName(text)).to.equal(text)
          } catch (error) {
            expect(error).to.be.instanceOf(AtlasError)
          }
        }),
      )
    })
  })

  it('parseNewClusterName() keeps atlas-… for Atlas, which parseClusterName() still reads', () => {
    expect(thrownBy(() => parseNewClusterName('atlas-two')).message).to.contain('"atlas-"')
    expect(parseClusterName('atlas-two')).to.equal('atlas-two')
  })

  it('parseOwner() takes atlas, the observability cluster', () => {
    expect(parseOwner('atlas')).to.equal('atlas')
    expect(parseOwner('paris')).to.equal('paris')
  })

  it('spiffe names never let one owner be a prefix of another', () => {
    expect(spiffe.adsClientsOf('d', 'atlas')).to.equal('spiffe://d/ads-client/atlas/')
    expect(spiffe.adsClient('d', parseClusterName('atlas-two'), 1).startsWith(spiffe.adsClientsOf('d', 'atlas'))).to.equal(false)
    expect(spiffe.downstream('d', parseClusterName('paris'), 2)).to.equal('spiffe://d/downstream/paris/2')
  })

  it('isDnsName() refuses what reads as an IPv4 address', () => {
    for (const good of ['example.net', 'a', 'x1.y2', 'xn--bcher-kva.example']) expect(isDnsName(good), good).to.equal(true)
    for (const text of ['1.2.3.4', '1.2.3', '256.1.1.1', 'a..b', '', '.a', 'a.', 'A.b', 'a b', `${'a'.repeat(64)}.b`])
      expect(isDnsName(text), text).to.equal(false)
  })

  it('parseTrustDomain() wants a DNS name', () => {
    expect(parseTrustDomain('atlas.internal')).to.equal('atlas.internal')
    expect(thrownBy(() => parseTrustDomain('spiffe://x')).code).to.equal('invalid')
    expect(thrownBy(() => parseTrustDomain('x'.repeat(151))).code).to.equal('invalid')
  })
})
