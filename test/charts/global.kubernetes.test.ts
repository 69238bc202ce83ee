/** `global.imageRegistry` and `global.imagePullSecrets`, which a parent chart sets for all its charts. */
import {cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {dump, loadAll} from 'js-yaml'
import {type Chart, type KubernetesObject, chartFolder, charts, helmAlone, majors, objectsOf, podsOf} from './support/rendered.js'

interface Pull {
  readonly images: readonly string[]
  readonly secrets: readonly string[]
}

function pulled(objects: readonly KubernetesObject[]): Pull {
  const pods = podsOf(objects)
  const secretsOf = ({spec}: (typeof pods)[number]): string =>
    ((spec as {readonly imagePullSecrets?: readonly {readonly name: string}[]}).imagePullSecrets ?? []).map(({name}) => name).join(',')
  return {
    images: [...new Set(pods.flatMap(({spec}) => spec.containers.map(({image}) => image.replace(/[:@][^/]*$/, ''))))].sort(),
    secrets: [...new Set(pods.map(pod => secretsOf(pod)))],
  }
}

const global = {imageRegistry: 'mirror.example.com:5000/hub', imagePullSecrets: ['one', {name: 'two'}, 'own']}
const mirrored: Readonly<Record<Chart, readonly string[]>> = {
  atlas: ['coredns/coredns', 'envoyproxy/envoy', 'goatlas-io/atlas'],
  envoy: ['envoyproxy/envoy'],
}
const own = {imagePullSecrets: [{name: 'own'}], coredns: {enabled: true}}
const valuesOf = (chart: Chart): Readonly<Record<string, unknown>> =>
  chart === 'atlas'
    ? own
    : {
        imagePullSecrets: own.imagePullSecrets,
        cluster: 'paris',
        existingSecret: 'x',
        ads: {addresses: ['192.0.2.1:10900'], serverName: 'a', serverUri: 'spiffe://a/b'},
      }

for (const chart of charts)
  describe(`global values of images, in chart ${chart}`, () => {
    const expected = {images: mirrored[chart].map(image => `${global.imageRegistry}/${image}`), secrets: ['one,two,own']}

    it('replace the registry of every image, and add their pull secrets to those of the chart, each once', async () => {
      for (const major of majors)
        expect(pulled(await objectsOf({chart, major, values: dump({...valuesOf(chart), global})}))).to.deep.equal(expected)
      expect(pulled(await objectsOf({chart, values: dump(valuesOf(chart))}))).to.deep.equal({
        images: mirrored[chart].map(image => (image.startsWith('goatlas-io/') ? `ghcr.io/${image}` : image)),
        secrets: ['own'],
      })
    })

    it('reach it from a parent chart, with further values that other charts read', async () => {
      const parent = mkdtempSync(path.join(tmpdir(), 'atlas-parent-'))
      try {
        mkdirSync(path.join(parent, 'charts'))
        cpSync(chartFolder(chart), path.join(parent, 'charts', chart), {recursive: true})
        writeFileSync(path.join(parent, 'Chart.yaml'), dump({apiVersion: 'v2', name: 'parent', version: '1.0.0'}))
        const values = dump({global: {...global, storageClass: 'fast'}, [chart]: valuesOf(chart)})
        const {code, stdout, stderr} = await helmAlone(['template', 'a', parent, '--values', '-'], {values})
        expect(code, stderr).to.equal(0)
        expect(pulled((loadAll(stdout) as (KubernetesObject | null)[]).filter(object => object !== null))).to.deep.equal(expected)
      } finally {
        rmSync(parent, {recursive: true})
      }
    })
  })
