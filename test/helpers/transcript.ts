/** Compares a terminal with the output on a page, except for times, addresses of pods and random parts of names. */

/**
 * @param page lines; `…` alone on one stands for any number of lines
 * @returns undefined where it fits, else the first line of the page that is missing at its place
 */
export function missingFrom(page: string, seen: string): string | undefined {
  const there = linesOf(seen)
  let at = 0
  let maySkip = false
  for (const line of linesOf(page)) {
    if (line === ELLIPSIS) {
      maySkip = true
      continue
    }

    const found = maySkip ? there.indexOf(line, at) : there[at] === line ? at : -1
    if (found === -1) return line
    at = found + 1
    maySkip = false
  }

  return maySkip || at === there.length ? undefined : `(the end, before: ${there[at] ?? ''})`
}

const ELLIPSIS = '…'

/** Texts that differ from run to run, in the order in which they are replaced. */
const varying: readonly (readonly [RegExp, string])[] = [
  // what Helm's client says now and then when it ends a watch that it no longer needs
  [/^[IW]\d{4} [\d:.]+ +\d+ reflector\.go:\d+\] "Warning: watch ended with error".*\n/gm, ''],
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\b[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d:]+ \d{4}\b/g, 'TIME'],
  [/(?<![\w.=-])(?:\d+(?:y|d|h|m|s)(?: ?\d+(?:d|h|m|s))?|now)(?: ago)?(?![\w.])/g, 'AGE'],
  // names of a Deployment's pods
  [/-[a-z\d]{8,10}-[a-z\d]{5}\b/g, '-RANDOM'],
  // addresses of pods and Services; those of load balancers are replaced before
  [/\b(?:127|10)\.\d+\.\d+\.\d+\b/g, 'INTERNAL-IP'],
  [/(\d+):\d{5}\/TCP/g, '$1:NODEPORT/TCP'],
  // the width of a column depends on its content
  [/ {2,}|\t/g, ' '],
]

function linesOf(text: string): readonly string[] {
  const replaced = varying.reduce((before, [what, by]) => before.replaceAll(what, by), text)
  const lines = replaced
    .trimEnd()
    .split('\n')
    .map(line => line.trimEnd())
  const events = lines.indexOf('Events:')
  // kubectl sorts Events by a time that new ones don't have
  return events === -1 ? lines : [...lines.slice(0, events + 3), ...lines.slice(events + 3).sort()]
}
