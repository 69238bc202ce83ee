/** Collects what pages name and ask for: addresses of links, forms, images, scripts and styles, and of all requests. */
import type {Page} from 'playwright-core'

/** All addresses in the document, made absolute as the browser would. */
export async function namedIn(page: Page): Promise<readonly string[]> {
  return page.evaluate<string[]>(`[...new Set([...document.querySelectorAll('[href], [src], [action]')].map(
    element => new URL(element.getAttribute('href') ?? element.getAttribute('src') ?? element.getAttribute('action'), document.baseURI).href
  ))]`)
}

/** Starts to collect the addresses of a page's requests, redirected ones included. */
export function requestsOf(page: Page): readonly string[] {
  const urls: string[] = []
  page.on('request', request => urls.push(request.url()))
  return urls
}

/** Those that lead elsewhere than below `base`; without the slash at its end it is inside, too. */
export function strays(urls: readonly string[], base: string): readonly string[] {
  return urls.filter(url => !url.startsWith(base) && url !== base.slice(0, -1) && !/^(data|blob|about):/.test(url))
}
