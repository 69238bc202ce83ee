/**
 * A rendered pod's container as a process: with its arguments, variables and files, under a folder instead of `/`, and on a
 * loopback address instead of the pod's. There is no kubelet here to run it.
 */
import {mkdir, writeFile} from 'node:fs/promises'
import {randomInt} from 'node:crypto'
import path from 'node:path'
import type {ProgramSpec} from '../../../src/demo/lab/processes.js'
import {findObject, type KubernetesObject, podsOf, type Volume, type VolumeSource} from './rendered.js'

export interface PodPlace {
  /** Replaces `/`. */
  readonly folder: string
  /** Replaces the pod's address and its loopback address. */
  readonly address: string
  readonly podName: string
  /** Data of Secrets and ConfigMaps that are not in the rendering, by name; a missing one that is not optional is an error. */
  readonly data?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export interface PodProcess {
  /** The command of container `name`; `program` replaces the image's. */
  command(program: string, name: string): ProgramSpec
  /** The same for the container's preStop hook. */
  preStop(program: string, name: string): ProgramSpec
}

/** A random loopback address, most likely a free one. */
export function ownAddress(): string {
  return `127.${randomInt(64, 255)}.${randomInt(256)}.${randomInt(1, 255)}`
}

/** Writes the volumes' files; `workload` names the object among `objects`, as `Deployment/NAME`. */
export async function openPod(objects: readonly KubernetesObject[], workload: string, place: PodPlace): Promise<PodProcess> {
  const [kind = '', name = ''] = workload.split('/')
  const [pod] = podsOf([findObject(objects, kind, name)])
  const {containers, volumes = []} = pod!.spec
  const [container] = containers
  for (const mount of container.volumeMounts ?? []) {
    const volume = volumes.find(one => one.name === mount.name)
    if (volume === undefined) throw new Error(`${mount.name} is mounted and no volume`)
    await writeVolume(volume, path.join(place.folder, mount.mountPath), dataOf(objects, place))
  }

  const here = (argument: string): string =>
    argument
      .replaceAll('$(POD_NAME)', place.podName)
      .replaceAll('$(POD_IP)', place.address)
      .replaceAll('[::]', place.address)
      .replaceAll(/^\/etc\//g, `${place.folder}/etc/`)
  const spec = (args: readonly string[], program: string, as: string): ProgramSpec => ({name: as, program, args: args.map(here)})
  return {
    command: (program, as) => spec(container.args, program, as),
    preStop: (program, as) => spec(container.lifecycle?.preStop.exec.command.slice(1) ?? [], program, as),
  }
}

type Data = (name: string) => Readonly<Record<string, string>> | undefined

function dataOf(objects: readonly KubernetesObject[], {folder, address, data = {}}: PodPlace): Data {
  const placed = (text: string): string =>
    text.replaceAll(/\/(etc|run)\/(atlas|coredns)/g, `${folder}/$1/$2`).replaceAll('127.0.0.1', address)
  return name => {
    const found = data[name] ?? objects.find(({kind, metadata}) => kind === 'ConfigMap' && metadata.name === name)?.data
    return found === undefined ? undefined : Object.fromEntries(Object.entries(found).map(([key, text]) => [key, placed(text)]))
  }
}

async function writeVolume(volume: Volume, folder: string, data: Data): Promise<void> {
  if (volume.emptyDir !== undefined) {
    await mkdir(folder, {recursive: true, mode: 0o700})
    return
  }

  if (volume.projected !== undefined) {
    for (const {configMap, secret} of volume.projected.sources) await writeSource(configMap ?? secret, folder, data)
    return
  }

  const source = volume.configMap ?? volume.secret
  if (source === undefined) throw new Error(`volume ${volume.name} is of a kind that is not played here`)
  await writeSource(source, folder, data)
}

async function writeSource(source: VolumeSource | NonNullable<Volume['secret']> | undefined, folder: string, data: Data): Promise<void> {
  if (source === undefined) throw new Error('a projected volume has a source that is not played here')
  const name = 'secretName' in source ? source.secretName : source.name
  const found = data(name)
  await mkdir(folder, {recursive: true, mode: 0o700})
  if (found === undefined) {
    if (source.optional === true) return
    throw new Error(`there is no ${name} to mount`)
  }

  for (const {key, path: file} of source.items ?? Object.keys(found).map(each => ({key: each, path: each}))) {
    const text = found[key]
    if (text === undefined) throw new Error(`${name} has no ${key}`)
    await mkdir(path.dirname(path.join(folder, file)), {recursive: true, mode: 0o700})
    await writeFile(path.join(folder, file), text, {mode: 0o600})
  }
}
