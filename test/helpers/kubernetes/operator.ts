/** A real Prometheus operator with its own CRDs, as a process. */
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import type {ProgramSpec} from '../../../src/demo/lab/processes.js'
import {type HostPort, renderHostPort} from '../../../src/lib/model/address.js'
import {certify} from './certificates.js'
import type {Kubernetes} from './kubernetes.js'
import {program} from './programs.js'

/** Installs the CRDs of its version and starts it; it watches one namespace. */
export async function startOperator(
  kubernetes: Kubernetes,
  ground: {readonly folder: string; startProcess(spec: ProgramSpec): Promise<unknown>},
  {namespace, listen}: {readonly namespace: string; readonly listen: HostPort},
): Promise<void> {
  for (const args of [
    ['apply', '--server-side', '-f', program('operator-crds')],
    ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=55s'],
  ]) {
    const {code, stderr} = await kubernetes.kubectl(args)
    if (code !== 0) throw new Error(stderr)
  }

  const {certificate, key} = await certify({name: 'prometheus-operator', groups: ['system:masters']}, kubernetes.cluster.ca)
  const file = (name: string): string => path.join(ground.folder, name)
  await writeFile(file('operator.pem'), certificate)
  await writeFile(file('operator-key.pem'), key, {mode: 0o600})
  await ground.startProcess({
    name: 'prometheus-operator',
    program: program('prometheus-operator'),
    args: [
      `--apiserver=${kubernetes.url}`,
      `--ca-file=${kubernetes.caFile}`,
      `--cert-file=${file('operator.pem')}`,
      `--key-file=${file('operator-key.pem')}`,
      `--namespaces=${namespace}`,
      `--web.listen-address=${renderHostPort(listen)}`,
    ],
  })
}
