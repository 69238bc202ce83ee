/** The real Envoy: where it is, and what it says of a configuration. */
import {execFile} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {programs} from '../../src/demo/catalogue.js'
import {findProgram} from '../../src/demo/programs.js'
import {inFolder} from './atlas.js'

export async function envoyProgram(): Promise<string> {
  const found = await findProgram(programs.envoy, process.env)
  if (found === undefined) throw new Error('there is no Envoy here: "node scripts/programs/main.mjs ensure envoy" brings one')
  return found
}

/** What `envoy --mode validate` prints of a configuration, and whether it accepts it. */
export async function validate(config: string | Uint8Array): Promise<{accepted: boolean; said: string}> {
  const envoy = await envoyProgram()
  return inFolder(async folder => {
    const file = path.join(folder, typeof config === 'string' ? 'envoy.json' : 'envoy.pb')
    await writeFile(file, config)
    return validateFile(envoy, file)
  })
}

export async function validateFile(envoy: string, file: string): Promise<{accepted: boolean; said: string}> {
  return validateArgs(envoy, ['-c', file, '--disable-hot-restart'])
}

/** As `validateFile`, with all the arguments with which it is to be started. */
export async function validateArgs(envoy: string, args: readonly string[]): Promise<{accepted: boolean; said: string}> {
  return new Promise(resolve => {
    execFile(envoy, ['--mode', 'validate', ...args], (error, stdout, stderr) => {
      resolve({accepted: error === null, said: `${stdout}${stderr}`})
    })
  })
}
