/** What `init` took over from the 2021 program, in words. */
import type {Adoption} from '../../ops/goatlas/adopt.js'

/** Lines for people: what was taken over, or would be, then what they should look at. */
export function renderAdoption({root, clusters, assumed, unread}: Adoption, {dryRun}: {readonly dryRun: boolean}): string {
  const count = clusters.length === 1 ? 'one cluster' : `${clusters.length} clusters`
  return [
    dryRun ? 'Would be taken over from the 2021 program:' : 'Taken over from the 2021 program:',
    `  its root certificate (${root.subject}), issued anew with the same key; the old one stays trusted beside it, both end on ${root.notAfter.slice(0, 10)}`,
    `  ${count}${clusters.length === 0 ? '' : `: ${clusters.join(', ')}`}; their Services stay as they are`,
    ...assumed.map(
      name =>
        `  ${name} has several replicas, and nobody has said where each of them is: ${ASSUMED} ${name} --stack kube-prometheus-stack=RELEASE`,
    ),
    ...unread.map(({object, message}) => `  ${object} can't be read, so its cluster stays with the old program: ${message}`),
    'How each cluster moves, and how to go back: docs/how-to/migrate-from-goatlas.md',
  ].join('\n')
}

const ASSUMED = 'before it moves, run atlas cluster add'
