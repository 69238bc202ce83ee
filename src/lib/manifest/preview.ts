/** What a commit would write, as manifests for people: `--dry-run`. Keys are left out of it. */
import type {Change} from '../model/change.js'
import type {Fleet, ObjectKey} from '../model/fleet.js'
import {defaultSettings} from '../model/settings.js'
import {encodeOnto, isStored, namespaceOf, objectOf} from './encode.js'
import type {Manifest} from './manifest.js'
import {renderYaml} from './yaml.js'

/** YAML documents, one per object; of a shard only the entries that change. Deleted objects are named in a comment. */
export function renderPreview(before: Fleet, changes: readonly Change[]): string {
  const stored = changes.filter(change => isStored(change))
  const settings = stored.find(change => change.kind === 'settings')?.value ?? before.settings ?? defaultSettings
  const objects = new Map<ObjectKey, Manifest | undefined>()
  for (const change of stored)
    objects.set(objectOf(change), encodeOnto(objects.get(objectOf(change)), change, namespaceOf(change, settings)))
  return [...objects]
    .map(([key, manifest]) => (manifest === undefined ? `# deleted: ${key}\n` : renderYaml(withoutKeys(manifest))))
    .join('---\n')
}

function withoutKeys(manifest: Manifest): Manifest {
  if (manifest.kind !== 'Secret') return manifest
  const {data, ...rest} = manifest
  return {...rest, stringData: Object.fromEntries(Object.keys(data ?? {}).map(key => [key, '(made when this is run without --dry-run)']))}
}
