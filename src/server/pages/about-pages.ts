/** What the start page says about web pages in general: how they are switched on, and why those by path are off. Pure. */
import type {Settings} from '../../lib/model/settings.js'
import {type Markup, markup} from './markup.js'

const SHARED_ORIGIN =
  'By path, all pages share one origin with this one: in a browser the page of one cluster can then act on the pages of all others, so an attacker in one downstream cluster can act as you on every other.'

/** A box where something should be chosen, a line where the recommended choice was made. */
export function aboutPages(
  {webDomain, pagesByPath}: Pick<Settings, 'pagesByPath' | 'webDomain'>,
  inStore: (command: string) => string,
): Markup {
  const example = `paris.prom.${webDomain ?? 'web.example.com'}`
  const why = markup`${SHARED_ORIGIN} By host name, such as <code>${example}</code>, each page has an origin of its own.`
  if (pagesByPath) {
    const names = webDomain === undefined ? markup`To have host names: <code>${inStore('atlas init --web-domain DOMAIN')}</code>. ` : ''
    return markup`<section class="box" aria-labelledby="paths">
<h2 id="paths">Pages by path are on</h2>
<p>${why}</p>
<p>${names}To switch paths off: <code>${inStore('atlas init --no-pages-by-path')}</code>.</p>
</section>
`
  }

  const off = markup`Pages by path, such as <code>/prom/paris/</code>, are off`
  if (webDomain !== undefined) return markup`<p class="dim">${off}. ${why}</p>\n`
  return markup`<section class="box" aria-labelledby="switches">
<h2 id="switches">The web pages of the clusters are off</h2>
<p>Prometheus, Alertmanager and Thanos of every cluster can be opened from here. Choose a domain, give DNS a wildcard name for each kind of page (<code>*.prom.DOMAIN</code>, <code>*.alertmanager.DOMAIN</code>, <code>*.thanos.DOMAIN</code>), and run: <code>${inStore('atlas init --web-domain DOMAIN')}</code></p>
<p>${off} until <code>${inStore('atlas init --pages-by-path')}</code> switches them on. ${why}</p>
</section>
`
}
