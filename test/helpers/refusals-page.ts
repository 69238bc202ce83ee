/** What docs/reference/refusals.md explains: the texts in the first column of its tables. */
import {readFileSync} from 'node:fs'

const page = new URL('../../docs/reference/refusals.md', import.meta.url)

/** @returns the texts, by the heading of their table, such as `By Envoy, in the TLS handshake` */
export function explainedRefusals(): ReadonlyMap<string, readonly string[]> {
  const [, ...sections] = readFileSync(page, 'utf8').split('\n## ')
  return new Map(
    sections.map(section => {
      const rows = section.split('\n').filter(line => line.startsWith('| `'))
      const [heading = ''] = section.split('\n')
      return [heading, rows.flatMap(row => [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))]
    }),
  )
}
