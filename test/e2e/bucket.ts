/** An object store in a folder with one block of samples of yesterday, made by promtool and uploaded by `thanos tools`, as a sidecar would. */
import {execFile} from 'node:child_process'
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {promisify} from 'node:util'
import {programAt} from '../pages/support/programs.js'

const run = promisify(execFile)
const DAY = 86_400

export interface Bucket {
  /** The flag of Thanos with the object store. */
  readonly flag: string
  /** Seconds since 1970 at which `old{bucket="paris"}` is 2. */
  readonly at: number
}

/** @param folder is made, with the bucket in it */
export async function makeBucket(folder: string): Promise<Bucket> {
  const [bucket, blocks, text] = ['bucket', 'blocks', 'samples.txt'].map(name => path.join(folder, name)) as [string, string, string]
  await mkdir(bucket, {recursive: true})
  const begin = Math.floor(Date.now() / 1000) - DAY
  await writeFile(text, `# TYPE old gauge\nold 1 ${begin}\nold 2 ${begin + 60}\n# EOF\n`)
  await run(programAt('promtool'), ['tsdb', 'create-blocks-from', 'openmetrics', text, blocks])
  const flag = `--objstore.config=${JSON.stringify({type: 'FILESYSTEM', config: {directory: bucket}})}`
  await run(programAt('thanos'), ['tools', 'bucket', 'upload-blocks', flag, `--path=${blocks}`, '--label=bucket="paris"'])
  return {flag, at: begin + 60}
}
