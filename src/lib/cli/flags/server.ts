/** The flag of `status` that names one server. */
import {parseHostPort, renderHostPort} from '../../model/address.js'
import {invalid} from '../../model/errors.js'

/**
 * `HOST:PORT`, or a URL with http or https, as the URL of the admin port.
 * @throws AtlasError `invalid`
 */
export function parseServer(text: string): string {
  if (!text.includes('://')) return `http://${renderHostPort(parseHostPort(text, '--server'))}`
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw invalid('--server', 'HOST:PORT or a URL, such as 127.0.0.1:6309 or http://127.0.0.1:6309', text)
  return text
}
