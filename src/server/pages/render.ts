/** The start page as HTML, part by part, without a script: what is wrong, the clusters with their links, the servers. Pure. */
import {renderAge, renderTime} from '../../lib/model/duration.js'
import type {Fleet} from '../../lib/model/fleet.js'
import {OBSERVABILITY, type PageKind} from '../../lib/model/names.js'
import {defaultSettings} from '../../lib/model/settings.js'
import {latestRefusals} from '../../lib/ops/latest-refusals.js'
import {type ServerStatus, type ShownStatus, isComplete} from '../../lib/ops/status.js'
import {PORT, type PageLink} from './links.js'
import {Markup, type Part, markup, textOf} from './markup.js'
import {aboutPages} from './about-pages.js'
import {type ClusterRow, type Tone, clusterRows} from './rows.js'
import {style} from './style.js'

/** Further findings are counted; the document has all of them. */
const FINDINGS_SHOWN = 50

const titles: Readonly<Record<PageKind, string>> = {prom: 'Prometheus', alertmanager: 'Alertmanager', thanos: 'Thanos'}

export interface PageContext {
  readonly now: Date
  /** Completes a command by the flags of this store. */
  readonly inStore: (command: string) => string
}

/** The page as of `now`; `PORT` in it stands for the port that the browser has used. A turn may end after each part. */
export function* renderStartPage(fleet: Fleet, status: ShownStatus, {now, inStore}: PageContext): Iterable<string> {
  const rows: ClusterRow[] = []
  for (const row of clusterRows(fleet, status, inStore)) {
    rows.push(row)
    yield ''
  }

  yield textOf([
    head(rows, status, now),
    needsAttention(status),
    aboutPages(fleet.settings ?? defaultSettings, inStore),
    tableHead(rows, inStore),
  ])
  for (const row of rows) yield textOf(tableRow(row))
  yield textOf(foot(status, now))
}

const summaries: Readonly<Record<Tone, string>> = {good: 'connected', waiting: 'waiting', wrong: 'with a problem', off: 'cut off'}

function head(rows: readonly ClusterRow[], status: ShownStatus, now: Date): Markup {
  const clusters = rows.filter(({name}) => name !== OBSERVABILITY)
  const count = `${clusters.length} downstream ${clusters.length === 1 ? 'cluster' : 'clusters'}`
  const counted = (['good', 'waiting', 'wrong', 'off'] as const).flatMap(tone => {
    const number = clusters.filter(row => row.tone === tone).length
    return number === 0 ? [] : [`${number} ${summaries[tone]}`]
  })
  const time = now.toISOString()
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Atlas: ${count}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
<h1>Atlas</h1>
<p>${[count, ...(counted.length === 0 ? [] : [`: ${counted.join(', ')}`])]}. ${attentionOf(status)}</p>
<p class="dim">As of <time datetime="${time}">${renderTime(now)}</time>, as <code>atlas status</code> shows it; <a href="/status.json">the whole document as JSON</a>.</p>
</header>
<main>
`
}

/** On what it is judged where nothing is found, or that it can not be judged: then the warnings, or the reasons of a server, stand below. */
function attentionOf(status: ShownStatus): string {
  const {length} = status.findings
  if (length > 0) return `${length} ${length === 1 ? 'thing needs' : 'things need'} attention.`
  return isComplete(status)
    ? 'Nothing needs attention, judged by what the Envoys have acknowledged; whether Thanos answers behind them is on page Stores of Thanos Query.'
    : 'Whether something needs attention is not fully known: this page says why.'
}

function needsAttention({findings, warnings}: ShownStatus): Part {
  const more = findings.length - FINDINGS_SHOWN
  const others = warnings.filter(message => !findings.some(finding => finding.message === message))
  if (findings.length + others.length === 0) return ''
  const items = findings.slice(0, FINDINGS_SHOWN).map(
    ({message, next}) => markup`<li>${message}<br><small>Next: <code>${next}</code></small></li>
`,
  )
  return markup`<section class="box alarm" aria-labelledby="attention">
<h2 id="attention">Needs attention</h2>
<ul>
${[...items, ...others.map(message => listItem(message))]}</ul>
${more > 0 ? markup`<p>And ${more} more: see <a href="/status.json">the whole document</a>.</p>\n` : ''}</section>
`
}

function tableHead(rows: readonly ClusterRow[], inStore: PageContext['inStore']): Markup {
  const none = rows.every(({name}) => name === OBSERVABILITY)
  return markup`<h2 id="clusters">Clusters</h2>
${none ? markup`<p>No downstream cluster is registered. Next: <code>${inStore('atlas cluster add NAME')}</code></p>\n` : ''}<table aria-labelledby="clusters">
<thead><tr><th scope="col">Cluster</th><th scope="col">State</th><th scope="col">Pages</th></tr></thead>
<tbody>
`
}

function tableRow({name, tone, state, remarks, envoys, links}: ClusterRow): Markup {
  const which = name === OBSERVABILITY ? markup`<br><small>observability cluster</small>` : ''
  const said = [envoys > 1 ? markup` <small>${envoys} Envoys</small>` : '', ...remarks.map(remark => markup`<br><small>${remark}</small>`)]
  const pages = links.length === 0 ? '' : markup`<ul>${links.map(link => pageLink(name, link))}</ul>`
  return markup`<tr class="${tone}"><th scope="row">${name}${which}</th><td><span class="state">${state}</span>${said}</td><td>${pages}</td></tr>
`
}

/** The name of the cluster is part of what a screen reader says of each link. */
function pageLink(name: string, {kind, isMetrics, href = '', pathHref, refused, replicas, moreReplicas}: PageLink): Markup {
  const [title, below] = isMetrics ? [`${titles[kind]} metrics`, 'metrics'] : [titles[kind], '']
  if (refused !== undefined) return markup`<li>${title}: <small>refused, its address is ${refused}</small></li>`
  const of = `${title} of ${name}`
  const parts = [
    markup`<a href="${address(href)}${below}" aria-label="${of}">${title}</a>`,
    ...replicas.map(each => markup` <a href="${address(href)}${each}/${below}" aria-label="${of}, replica ${each}">${each}</a>`),
    moreReplicas === 0 ? '' : markup` <small>and ${moreReplicas} more</small>`,
    pathHref === undefined ? '' : markup` <a href="${pathHref}${below}" aria-label="${of}, by path">by path</a>`,
  ]
  return markup`<li>${parts}</li>`
}

/** The place of the port stays as it is: it is filled in for each browser. */
function address(href: string): Part {
  return href.split(PORT).flatMap((part, index) => (index === 0 ? [part] : [new Markup(PORT), part]))
}

function foot({servers, leader, refusals, proxies}: ShownStatus, now: Date): Markup {
  const refused = latestRefusals({refusals, proxies}).map(([{at, reason, message}, times]) =>
    listItem(`${age(at, now)} ago${times === 1 ? '' : `, ${times} times`} (${reason}): ${message}`),
  )
  return markup`</tbody>
</table>
${refused.length === 0 ? '' : markup`<h2>Refused connections</h2>\n<ul>\n${refused}</ul>\n`}<h2>Servers</h2>
<ul>
${[...servers.map(server => serverItem(server, now)), ...(leader === undefined ? [] : [listItem(`leader ${leader}`)])]}</ul>
</main>
</body>
</html>
`
}

function serverItem({replica = '', address: at, startedAt, reasons}: ServerStatus, now: Date): Markup {
  const said = reasons.map(reason => markup`<br><small>not ready: ${reason}</small>`)
  return markup`<li>server ${replica} <small>${at}, up ${age(startedAt, now)}</small>${said}</li>
`
}

function listItem(text: string): Markup {
  return markup`<li>${text}</li>\n`
}

function age(since: string, now: Date): string {
  return renderAge(Math.max(0, (now.getTime() - Date.parse(since)) / 1000))
}
