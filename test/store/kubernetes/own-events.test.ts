/** The events about a process's own writes are passed over, and all others are read, until the watch is stopped. */
import {expect} from 'chai'
import type {Client} from '../../../src/lib/store/kubernetes/client.js'
import {defaultListWatchTimes, startListWatch} from '../../../src/lib/store/kubernetes/list-watch.js'

const eventOf = (type: string, name: string, resourceVersion: string, annotation = ''): string =>
  JSON.stringify({
    type,
    object: {kind: 'Service', apiVersion: 'v1', metadata: {name, namespace: 'atlas', resourceVersion, annotations: {annotation}}},
  })

describe('store/kubernetes: own writes in a watch', () => {
  it('are passed over by the version of their object alone, and the next watch begins after them', async () => {
    const own = new Set(['11', '13', '14'])
    const stopping = new AbortController()
    const seen: string[] = []
    const watches: string[] = []
    const done = Promise.withResolvers<undefined>()
    const client = {
      namespace: 'atlas',
      call: async () => ({metadata: {resourceVersion: '10'}, items: []}),
      async stream({query}: {query?: Record<string, string>}, _: number, events: Parameters<Client['stream']>[2]) {
        watches.push(query?.['resourceVersion'] ?? '')
        if (watches.length > 1) {
          done.resolve(undefined)
          return new Promise(() => undefined)
        }

        events.opened()
        events.lines([
          eventOf('MODIFIED', 'paris', '11'),
          // A text that only looks like a version.
          eventOf('ADDED', 'lyon', '12', '"resourceVersion":"13"'),
          eventOf('DELETED', 'nice', '15'),
          eventOf('MODIFIED', 'paris', '14'),
        ])
        return undefined
      },
    } as unknown as Client
    startListWatch(
      client,
      {resource: 'services', namespace: 'atlas'},
      {...defaultListWatchTimes, retryMs: 1},
      {
        listed: () => undefined,
        restored: () => undefined,
        changed: events => seen.push(...events.map(({type, object}) => `${object.metadata.name} ${type}`)),
        isOwn: version => own.delete(version),
        failed: () => undefined,
        recovered: () => undefined,
      },
      stopping.signal,
    )
    await done.promise
    stopping.abort()
    expect(seen).to.deep.equal(['lyon is', 'nice gone'])
    expect(watches).to.deep.equal(['10', '14'])
    expect([...own]).to.deep.equal(['13'])
  })

  it('events and lists are not reported any more once it is stopped, though they had been received', async () => {
    const stopping = new AbortController()
    const seen: string[] = []
    const ended = Promise.withResolvers<undefined>()
    const events: Parameters<typeof startListWatch>[3] = {
      listed: () => seen.push('listed'),
      restored: () => seen.push('restored'),
      changed: () => seen.push('changed'),
      failed: () => seen.push('failed'),
      recovered: () => seen.push('recovered'),
    }
    const client = {
      namespace: 'atlas',
      call: async () => ({metadata: {resourceVersion: '10'}, items: []}),
      async stream(_: unknown, __: number, watch: Parameters<Client['stream']>[2]) {
        watch.opened()
        stopping.abort()
        watch.lines([eventOf('MODIFIED', 'paris', '11')])
        ended.resolve(undefined)
      },
    } as unknown as Client
    const selection = {resource: 'services', namespace: 'atlas'} as const
    startListWatch(client, selection, defaultListWatchTimes, events, stopping.signal)
    await ended.promise
    expect(seen).to.deep.equal(['listed'])

    const again = new AbortController()
    const received = Promise.withResolvers<undefined>()
    const late = {
      async call() {
        again.abort()
        received.resolve(undefined)
        return {metadata: {resourceVersion: '12'}, items: []}
      },
      stream: async () => undefined,
    } as unknown as Client
    startListWatch(late, selection, defaultListWatchTimes, events, again.signal)
    await received.promise
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(seen).to.deep.equal(['listed'])
  })
})
