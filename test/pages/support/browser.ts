/** A headless Chromium whose every host name is one address. */
import path from 'node:path'
import {type Browser, type BrowserContext, type BrowserContextOptions, chromium} from 'playwright-core'
import {type HostPort, renderHostPort} from '../../../src/lib/model/address.js'
import {programAt} from './programs.js'

/** How long a page may take to show something on a busy machine. */
export const PATIENCE_MS = 60_000

/** @param everything where all host names and ports lead; addresses stay what they are */
export async function openBrowser(everything: HostPort): Promise<Browser> {
  const program = programAt('chromium')
  const folder = path.dirname(program)
  return chromium.launch({
    executablePath: program,
    // The sandbox does not run as root.
    chromiumSandbox: false,
    timeout: PATIENCE_MS,
    env: {...process.env, LD_LIBRARY_PATH: path.join(folder, 'lib'), FONTCONFIG_PATH: folder},
    args: ['--disable-quic', `--host-resolver-rules=MAP * ${renderHostPort(everything)}`],
  })
}

/** A visitor without cookies. Prometheus's page needs a language. */
export async function newVisitor(browser: Browser, options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const context = await browser.newContext({locale: 'en-US', viewport: {width: 1280, height: 900}, ...options})
  context.setDefaultTimeout(PATIENCE_MS)
  return context
}
