/** Fleets to the texts of their objects and back, as a store does it, without a store. */
import {type StoredChange, encodeOnto, isStored, namespaceOf, objectOf} from '../../src/lib/manifest/encode.js'
import {decodeEntry, entriesOf} from '../../src/lib/manifest/decode.js'
import {type Manifest, keyOf, parseManifest} from '../../src/lib/manifest/manifest.js'
import {parseYaml, renderYaml} from '../../src/lib/manifest/yaml.js'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {type Fleet, type ObjectKey, emptyFleet} from '../../src/lib/model/fleet.js'
import {defaultSettings} from '../../src/lib/model/settings.js'
import {changesOf} from '../helpers/fleet-changes.js'

/** The objects of a fleet, by key. */
export function objectsOf(fleet: Fleet): ReadonlyMap<ObjectKey, Manifest> {
  const objects = new Map<ObjectKey, Manifest>()
  const isThere = (change: Change): change is StoredChange => isStored(change) && change.value !== undefined
  for (const change of changesOf(fleet).filter(isThere)) {
    const key = objectOf(change)
    const manifest = encodeOnto(objects.get(key), change, namespaceOf(change, fleet.settings ?? defaultSettings))
    if (manifest === undefined) throw new Error(`${key} is not written`)
    objects.set(key, manifest)
  }

  return objects
}

/** What an object's text says. @throws AtlasError where it can't be read as an object */
export function readText(text: string): readonly Change[] {
  const manifest = parseManifest(parseYaml(text))
  return entriesOf(manifest).map(entry => decodeEntry(entry, keyOf(manifest), 'file.yaml'))
}

/** The fleet that the texts of objects make. */
export function readTexts(texts: Iterable<string>): Fleet {
  return reduceAll(
    emptyFleet,
    [...texts].flatMap(text => readText(text)),
  )
}

export function textsOf(fleet: Fleet): readonly string[] {
  return [...objectsOf(fleet).values()].map(manifest => renderYaml(manifest))
}

/** Base64 says nothing to a reader; what is in it does, and keys belong in no file of a repository. */
export function readable(yaml: string): string {
  return yaml.replaceAll(/LS0tLS1[A-Za-z0-9+/]+={0,2}/g, text => {
    const labels = [
      ...Buffer.from(text, 'base64')
        .toString()
        .matchAll(/-----BEGIN ([A-Z ]+)-----/g),
    ].map(match => match[1])
    return `<base64 of ${labels.join(', ')}>`
  })
}
