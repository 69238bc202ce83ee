/** The real Envoy: its path, and whether it accepts a configuration. */
import {execFile} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {programNamed} from '../../scripts/programs/catalogue.mjs'
import {findProgram} from '../../scripts/programs/find.mjs'
import {inFolder} from './atlas.js'

/** The supported minor versions, the oldest first; a test that names none uses the newest. */
export const envoyVersions = ['1.36', '1.37', '1.38', '1.39', '1.40'] as const

export type EnvoyVersion = (typeof envoyVersions)[number]

export async function envoyProgram(version: EnvoyVersion = '1.40'): Promise<string> {
  const name = version === '1.40' ? 'envoy' : `envoy-${version}`
  const found = findProgram(programNamed(name))
  if (found === undefined) throw new Error(`there is no ${name} here: "node scripts/programs/main.mjs ensure ${name}" brings one`)
  return found
}

/** Runs `envoy --mode validate`. @returns its output, and whether it accepts the configuration */
export async function validate(config: string | Uint8Array, version?: EnvoyVersion): Promise<{accepted: boolean; said: string}> {
  const envoy = await envoyProgram(version)
  return inFolder(async folder => {
    const file = path.join(folder, typeof config === 'string' ? 'envoy.json' : 'envoy.pb')
    await writeFile(file, config)
    return validateFile(envoy, file)
  })
}

export async function validateFile(envoy: string, file: string): Promise<{accepted: boolean; said: string}> {
  return validateArgs(envoy, ['-c', file, '--disable-hot-restart'])
}

/** As `validateFile`, with all arguments that Envoy would be started with. */
export async function validateArgs(envoy: string, args: readonly string[]): Promise<{accepted: boolean; said: string}> {
  return new Promise(resolve => {
    execFile(envoy, ['--mode', 'validate', ...args], (error, stdout, stderr) => {
      resolve({accepted: error === null, said: `${stdout}${stderr}`})
    })
  })
}
