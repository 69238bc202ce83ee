import {expect} from 'chai'
import fc from 'fast-check'
import {encodeOnto, isStored, namespaceOf} from '../../src/lib/manifest/encode.js'
import {parseYaml, renderYaml} from '../../src/lib/manifest/yaml.js'
import {reduceAll} from '../../src/lib/model/change.js'
import {emptyFleet} from '../../src/lib/model/fleet.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {changesOf, plain} from '../helpers/fleet-changes.js'
import {fleets, textMaps, trickyTexts} from './arbitrary.js'
import {objectsOf, readTexts, textsOf} from './objects.js'

describe('manifest: a fleet', function () {
  this.timeout(120_000)

  it('comes back from the text of its objects as it was', () => {
    fc.assert(
      fc.property(fleets, fleet => {
        const there = reduceAll(emptyFleet, changesOf(fleet))
        expect(plain(readTexts(textsOf(there)))).to.deep.equal(plain(there))
      }),
      {numRuns: 80},
    )
  })

  it('is written the same way every time, and writing it again changes no byte', () => {
    fc.assert(
      fc.property(fleets, fleet => {
        const objects = objectsOf(fleet)
        for (const change of changesOf(fleet).filter(each => isStored(each) && each.value !== undefined)) {
          if (!isStored(change)) continue
          const key = [...objects.keys()].find(
            each =>
              JSON.stringify(encodeOnto(objects.get(each), change, namespaceOf(change, fleet.settings ?? defaultSettings))) ===
              JSON.stringify(objects.get(each)),
          )
          expect(key, change.kind).not.to.equal(undefined)
        }

        expect(textsOf(readTexts(textsOf(fleet))).toSorted()).to.deep.equal(textsOf(fleet).toSorted())
      }),
      {numRuns: 25},
    )
  })
})

describe('manifest: YAML', () => {
  for (const text of trickyTexts)
    it(`keeps ${JSON.stringify(text.slice(0, 30))} as the text that it is`, () => {
      const value = {[text === '' ? 'empty' : text.slice(0, 60)]: text, list: [text], inner: {text}}
      expect(parseYaml(renderYaml(value))).to.deep.equal(value)
    })

  it('keeps any texts under any names, in their order', () => {
    fc.assert(
      fc.property(textMaps, map => {
        const text = renderYaml({metadata: {labels: map, annotations: map}})
        const back = parseYaml(text) as {metadata: {labels: object}}
        expect(back).to.deep.equal({metadata: {labels: map, annotations: map}})
        expect(Object.keys(back.metadata.labels)).to.deep.equal(Object.keys(map))
        expect(renderYaml(back)).to.equal(text)
        expect(Object.getPrototypeOf(back.metadata.labels)).to.equal(Object.prototype)
      }),
      {numRuns: 200},
    )
  })
})
