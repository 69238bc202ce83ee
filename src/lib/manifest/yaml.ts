/** YAML text to plain values and back: the only place that knows the YAML library. */
import {CORE_SCHEMA, type LoadOptions, YAMLException, boolYaml11Tag, dump, loadAll, mergeTag} from 'js-yaml'
import {AtlasError} from '../model/errors.js'

/**
 * The one document of a YAML text (YAML 1.2 core schema). Aliases are refused: a few of them make a value of any size, or one that
 * holds itself.
 * @throws AtlasError `invalid` where it does not parse, is empty, or holds several documents; never with a part of the text
 */
export function parseYaml(text: string): unknown {
  const documents = parseDocuments(text).filter(document => document !== null && document !== undefined)
  if (documents.length === 1) return documents[0]
  throw new AtlasError(
    'invalid',
    documents.length === 0
      ? 'it must be one YAML document; the file is empty'
      : `it must be one object per file; got ${documents.length} YAML documents`,
  )
}

/**
 * The first document of a text that kubectl reads as well, by kubectl's reader: JSON or YAML with aliases, merge keys and the booleans of
 * YAML 1.1; of two equal keys the last one counts; null where the text is empty. Only for files that belong to the person who runs Atlas.
 * @throws AtlasError `invalid` where it does not parse; never with a part of the text
 */
export function parseKubectlYaml(text: string): unknown {
  const isJson = text.trimStart().startsWith('{')
  return (isJson ? parsedJson(text) : undefined) ?? parseDocuments(text, kubectlReader())[0] ?? null
}

/** Byte-stable: keys in their order, no line is folded, strings that another reader could take for a number are quoted. */
export function renderYaml(value: unknown): string {
  return dump(value, {lineWidth: -1, noRefs: true})
}

/** Several documents as one text, for `kubectl apply --server-side -f`. */
export function renderDocuments(values: readonly unknown[]): string {
  return values.map(value => renderYaml(value)).join('---\n')
}

/** A kubeconfig that is written by hand has a few aliases; more than these are a mistake, or an attack on memory. */
const ALIASES_MAX = 1000

function kubectlReader(): LoadOptions {
  return {schema: CORE_SCHEMA.withTags(boolYaml11Tag, mergeTag), json: true, maxAliases: ALIASES_MAX}
}

/** Undefined where it is no JSON: YAML in braces begins like it. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function parseDocuments(text: string, options: LoadOptions = {maxAliases: 0}): readonly unknown[] {
  try {
    return loadAll(text, options)
  } catch (error) {
    // The library's message quotes the text around the fault, which may be a key: only the reason and the place are passed on.
    if (error instanceof YAMLException) throw new AtlasError('invalid', `it must be YAML; ${reasonOf(error)}${place(error)}`)
    throw new AtlasError('invalid', 'it must be YAML; it does not parse')
  }
}

/** Some of the library's reasons end in a name from the text. */
function reasonOf({reason}: YAMLException): string {
  return reason.split(/["<]|: /)[0]?.trimEnd() ?? ''
}

function place(error: YAMLException): string {
  const mark = error.mark as {line?: number; column?: number} | undefined
  return mark?.line === undefined ? '' : ` at line ${mark.line + 1}, column ${(mark.column ?? 0) + 1}`
}
