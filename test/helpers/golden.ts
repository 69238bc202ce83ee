/** Golden files: expected output as readable text. `UPDATE_GOLDEN=1` rewrites them; read the difference before you commit. */
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'

const GOLDEN = join(dirname(fileURLToPath(import.meta.url)), '../golden')

export function expectGolden(name: string, text: string): void {
  const path = join(GOLDEN, name)
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(path), {recursive: true})
    writeFileSync(path, text)
  }

  if (!existsSync(path)) throw new Error(`test/golden/${name} is not there; UPDATE_GOLDEN=1 writes it`)
  expect(text, `test/golden/${name} (UPDATE_GOLDEN=1 rewrites it)`).to.equal(readFileSync(path, 'utf8'))
}
