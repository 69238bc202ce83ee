/** The real programs of the lane `kubernetes`, found as scripts/programs/README.md says. */
import {spawn} from 'node:child_process'
import {programNamed} from '../../../scripts/programs/catalogue.mjs'
import {findProgram} from '../../../scripts/programs/find.mjs'
import {type Ran, ranOf} from '../ran.js'

export type ProgramName =
  | 'operator-crds'
  | 'prometheus-3'
  | 'prometheus-operator'
  | 'cert-manager'
  | 'cert-manager-crds'
  | 'coredns'
  | 'crds'
  | 'envoy-gateway'
  | 'etcd'
  | 'helm'
  | 'helm3'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kubectl'
  | 'promtool'
  | 'traefik'

/** The path of a program. */
export function program(name: ProgramName): string {
  const known = places.get(name) ?? findProgram(programNamed(name))
  if (known === undefined) throw new Error(`there is no ${name} here: "node scripts/programs/main.mjs ensure ${name}" brings one`)
  places.set(name, known)
  return known
}

/** Runs a program to its end; after two and a half minutes it is killed (code null). */
export async function run(
  name: ProgramName,
  args: readonly string[],
  how: {readonly env: NodeJS.ProcessEnv; readonly input?: string | undefined},
): Promise<Ran> {
  const child = spawn(program(name), args, {env: how.env, stdio: ['pipe', 'pipe', 'pipe'], timeout: 150_000, killSignal: 'SIGKILL'})
  const ran = ranOf(child)
  // A program that does not read its input closes the pipe.
  child.stdin.on('error', () => undefined)
  child.stdin.end(how.input)
  return ran
}

/** Remembered, since the search runs programs on PATH to get their versions. */
const places = new Map<ProgramName, string>()
