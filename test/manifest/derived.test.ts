import {expect} from 'chai'
import {derivedOf, derivedOnto, derivedText, encodeDerived, isMarked} from '../../src/lib/manifest/derived.js'
import {keyOf} from '../../src/lib/manifest/manifest.js'
import {goatlasObjects} from '../helpers/goatlas-objects.js'
import {goatlasAuthority} from '../helpers/goatlas.js'
import {testFleet, testSettings, testDependencies} from '../helpers/dependencies.js'

const left = goatlasObjects(goatlasAuthority({bits: 2048}), ['derived'])
const fleet = testFleet(testDependencies(), ['downstream1', 'downstream2', 'downstream3'])
const ours = new Map((['atlas', ...fleet.registrations.keys()] as const).flatMap(owner => [...derivedOf(fleet, testSettings, owner)]))

describe('manifest/derived', () => {
  it('what Atlas makes is told from what the 2021 program made, and nothing of the one says it is of the other', () => {
    for (const manifest of left) expect(isMarked(derivedText(manifest)), keyOf(manifest)).to.equal(false)
    for (const [object, text] of ours) {
      expect(isMarked(text), object).to.equal(true)
      expect(derivedText(encodeDerived(object, text, 'atlas'))).to.equal(text)
    }
    const boasting = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {name: 'atlas-coredns'},
      data: {'atlas.zone': '{"labels":{"app.kubernetes.io/managed-by":"atlas"'},
    }
    expect(isMarked(derivedText(boasting))).to.equal(false)
  })

  it("put onto what that program made, the whole is Atlas's, and says so at the next look", () => {
    for (const manifest of left) {
      const text = ours.get(keyOf(manifest))
      if (text === undefined) continue
      const onto = derivedOnto(manifest, encodeDerived(keyOf(manifest), text, 'monitoring'))
      expect(derivedText(onto), keyOf(manifest)).to.equal(text)
      expect(JSON.stringify(onto)).not.to.match(/objectset|"app":"envoy"/)
    }
  })

  it("one mark of that program's ownership is a difference, wherever it stands", () => {
    const [[object, text] = expect.fail('nothing is derived')] = ours
    const manifest = encodeDerived(object, text, 'atlas')
    const mark = {'objectset.rio.cattle.io/id': ''}
    for (const metadata of [{annotations: mark}, {labels: {...manifest.metadata.labels, ...mark}}]) {
      const marked = {...manifest, metadata: {...manifest.metadata, ...metadata}}
      expect(derivedText(marked)).not.to.equal(text)
      expect(isMarked(derivedText(marked))).to.equal(true)
      expect(derivedText(derivedOnto(marked, manifest))).to.equal(text)
    }
  })
})
