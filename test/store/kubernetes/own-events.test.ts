/** The events about a process's own writes are passed over, and all others are read. */
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
})
