/** Unpacks Chromium's headless shell from an npm package, with the libraries and fonts that a small machine lacks. fetch.mjs downloads the package. */
import {chmodSync, createReadStream, createWriteStream, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {pipeline} from 'node:stream/promises'
import {createBrotliDecompress} from 'node:zlib'
import {runQuietly} from '../setup/child.mjs'
import {unpackNpm} from './fetch.mjs'

/** The package's own file names directories of AWS Lambda. */
const fontsConf = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
</fontconfig>
`

/**
 * `binary` becomes Chromium. Beside it are `lib` (NSS and expat, for LD_LIBRARY_PATH) and `fonts.conf` with `fonts` (for FONTCONFIG_PATH).
 * @param {{package: string, sha512: string, platform: string}} source
 * @param {{directory: string, binary: string, report: import('./status.mjs').Report}} target
 */
export async function fetchChromium(source, {directory, binary, report}) {
  const work = join(directory, 'npm')
  const packed = name => join(work, 'package', 'bin', name)
  await unpackNpm(source, {work, parts: ['package/bin'], report})
  report.set({doing: 'unpacking Chromium'})
  await decompress(packed('chromium.br'), binary)
  chmodSync(binary, 0o755)
  for (const name of ['fonts', 'al2023']) {
    const tar = join(work, `${name}.tar`)
    await decompress(packed(`${name}.tar.br`), tar)
    await runQuietly('tar', ['-xf', tar], {cwd: directory, onLine: report.log})
  }
  writeFileSync(join(directory, 'fonts.conf'), fontsConf)
  rmSync(work, {recursive: true})
}

async function decompress(from, to) {
  await pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to))
}
