/** Services as on a node: connections to their ports go to ready Pods; a Service of type LoadBalancer gets an address. */
import {type Server, type Socket, connect, createServer} from 'node:net'
import type {Kubernetes} from '../kubernetes.js'
import {randomSource} from '../../random.js'
import type {Pods} from './pods.js'

export interface Services {
  look(): Promise<void>
  close(): void
}

interface Service {
  readonly metadata: {readonly name: string; readonly namespace: string}
  readonly spec: {
    readonly type: string
    readonly selector?: Readonly<Record<string, string>>
    readonly ports?: readonly {readonly port: number; readonly targetPort: number | string}[]
  }
  readonly status: {readonly loadBalancer: {readonly ingress?: unknown}}
}

interface Addresses {
  readonly servicesAddress: string
  readonly balancerAddress: string
  readonly pods: Pods
}

export function openServices(kubernetes: Kubernetes, {servicesAddress, balancerAddress, pods}: Addresses): Services {
  const forwards = new Map<string, Server>()
  const sockets = new Set<Socket>()

  async function look(): Promise<void> {
    const {body} = await kubernetes.request<{items: readonly Service[]}>('GET', '/api/v1/services')
    for (const service of body.items) {
      if (service.spec.selector === undefined) continue
      const isBalanced = service.spec.type === 'LoadBalancer'
      forward(service, isBalanced ? balancerAddress : servicesAddress)
      if (isBalanced && service.status.loadBalancer.ingress === undefined) await give(service)
    }
  }

  async function give({metadata: {name, namespace}}: Service): Promise<void> {
    const status = {loadBalancer: {ingress: [{ip: balancerAddress}]}}
    const at = `/api/v1/namespaces/${namespace}/services/${name}/status`
    await kubernetes.request('PATCH', at, {status}, {contentType: 'application/merge-patch+json'})
  }

  const random = randomSource('pods of a Service')

  function forward({metadata, spec}: Service, address: string): void {
    for (const {port, targetPort} of spec.ports ?? []) {
      const at = `${address}:${port}`
      if (forwards.has(at)) continue
      const server = createServer(client => {
        const ready = pods.endpoints(metadata.namespace, spec.selector ?? {}, targetPort)
        const chosen = ready[Math.floor(random() * ready.length)]
        if (chosen === undefined) client.destroy()
        else join(client, connect(chosen))
      })
      forwards.set(at, server.on('error', () => undefined).listen(port, address))
    }
  }

  function join(one: Socket, other: Socket): void {
    one.pipe(other).pipe(one)
    for (const socket of [one, other]) {
      sockets.add(socket)
      socket
        .on('error', () => undefined)
        .once('close', () => {
          sockets.delete(socket)
          one.destroy()
          other.destroy()
        })
    }
  }

  return {
    look,
    close() {
      for (const server of forwards.values()) server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
