/** Alertmanagers: that of the observability cluster, to which all alerts go, and that of a downstream cluster, whose page is shown. */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {DemoContext} from './context.js'
import {ask} from './lab/http.js'
import type {Running} from './lab/processes.js'
import {waitFor} from './lab/wait.js'

/** Starts an Alertmanager without notifications, and waits until it is ready. @param of the cluster that it stands in */
export async function startAlertmanager(of: string, listen: HostPort, program: string, context: DemoContext): Promise<Running> {
  const data = path.join(context.folder, 'data', `alertmanager-${of}`)
  await mkdir(data, {recursive: true, mode: 0o700})
  const config = path.join(data, 'alertmanager.yml')
  await writeFile(config, JSON.stringify({route: {receiver: 'none'}, receivers: [{name: 'none'}]}), {mode: 0o600})
  const running = await context.supervisor.start({
    name: `alertmanager-${of}`,
    program,
    args: [
      `--config.file=${config}`,
      `--storage.path=${data}`,
      `--web.listen-address=${renderHostPort(listen)}`,
      // No gossip: each of the demo's Alertmanagers is alone.
      '--cluster.listen-address=',
      '--log.level=warn',
    ],
    cwd: data,
  })
  await waitFor(`the Alertmanager of ${of} to be ready`, async () => ((await ask(listen, '/-/ready')).status === 200 ? true : undefined), {
    signal: context.signal,
    timeoutMs: 60_000,
  })
  return running
}

export interface ReceivedAlert {
  readonly labels: Readonly<Record<string, string>>
}

/** The alerts that an Alertmanager has. */
export async function alertsAt(address: HostPort): Promise<readonly ReceivedAlert[]> {
  const {status, body} = await ask(address, '/api/v2/alerts')
  if (status !== 200) throw new Error(`Alertmanager answered ${status}`)
  return JSON.parse(body) as readonly ReceivedAlert[]
}
