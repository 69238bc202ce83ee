import fc from 'fast-check'
import type {SessionOptions, Variant} from '../../src/lib/xds/session.js'
import {ModelClient, type Voice} from './model-client.js'
import {snapshotOf, type Words} from './stream.js'

/** What happens, in a random order: to the snapshot, on the wire, at the client. */
type Act =
  | {readonly kind: 'push'; readonly words: Words}
  | {readonly kind: 'subscribe'; readonly name: string; readonly nonce: string}
  | {readonly kind: 'unsubscribe'; readonly name: string}
  | {readonly kind: 'wait'; readonly milliseconds: number}
  | {readonly kind: 'cut' | 'deliver' | 'read' | 'release' | 'settle' | 'withhold' | 'write'}

const version = fc.oneof(
  {weight: 5, arbitrary: fc.constantFrom('1', '2', '3')},
  {weight: 1, arbitrary: fc.constantFrom('bad1', 'bad2', 'busy1', 'busy2')},
)
const clusterName = fc.constantFrom('c0', 'c1', 'c2', 'c3')

/** A consistent snapshot: it has the clusters that its routes and scopes refer to. */
const words: fc.Arbitrary<Words> = fc
  .record({
    cluster: fc.dictionary(clusterName, version, {maxKeys: 4}),
    listener: fc.dictionary(fc.constantFrom('l0', 'l1'), version),
    secret: fc.dictionary(fc.constantFrom('x0', 'x1', 'x2'), version),
    scope: fc.dictionary(fc.constantFrom('s0', 's1', 's2', 's3'), fc.tuple(version, clusterName)),
    route: fc.dictionary(fc.constantFrom('r0', 'r1'), fc.tuple(version, clusterName)),
  })
  .map(({cluster, listener, secret, scope, route}) => {
    const pointing = (entries: Record<string, [string, string]>): Record<string, string> =>
      Object.fromEntries(
        Object.entries(entries)
          .filter(([, [, target]]) => cluster[target] !== undefined)
          .map(([name, [number, target]]) => [name, `${number}>${target}`]),
      )
    return {cluster, listener, secret, scope: pointing(scope), route: pointing(route)}
  })

const name = fc.constantFrom('x0', 'x1', 'x2', 'x3', 'r0', 'r1', 'r2', 'c0', 's0')

const act: fc.Arbitrary<Act> = fc.oneof(
  {weight: 4, arbitrary: fc.record({kind: fc.constant('push' as const), words})},
  {weight: 2, arbitrary: fc.record({kind: fc.constant('subscribe' as const), name, nonce: fc.constantFrom('', '1', '5')})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('unsubscribe' as const), name})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('wait' as const), milliseconds: fc.constantFrom(1000, 5000)})},
  {weight: 24, arbitrary: fc.record({kind: fc.constantFrom('deliver' as const, 'read' as const, 'write' as const)})},
  {weight: 2, arbitrary: fc.record({kind: fc.constantFrom('cut' as const, 'settle' as const)})},
  {weight: 2, arbitrary: fc.record({kind: fc.constantFrom('release' as const, 'withhold' as const)})},
)

/** Bytes of a response that holds two of the resources above at most, so that most pushes take several. */
const TWO_RESOURCES = 300

const kindByLetter = {x: 'secret', r: 'route', c: 'cluster', s: 'scope'} as const

function play(client: ModelClient, done: Act): void {
  client.trace.push(`do ${JSON.stringify(done)}`)
  switch (done.kind) {
    case 'push': {
      client.push(snapshotOf(done.words, client.snapshot))
      break
    }

    case 'subscribe':
    case 'unsubscribe': {
      const kind = kindByLetter[done.name.slice(0, 1) as keyof typeof kindByLetter]
      // Routes and scopes by name beside the wildcard are in delta.test.ts; by SotW a list of names ends a legacy wildcard.
      if (client.variant === 'sotw' && (kind === 'cluster' || kind === 'scope')) break
      if (done.kind === 'subscribe') client.subscribe(kind, done.name, done.nonce === '' ? '' : `9${done.nonce}`)
      else client.unsubscribe(kind, done.name)
      break
    }

    case 'wait': {
      client.wait(done.milliseconds)
      break
    }

    case 'withhold': {
      client.withholds = true
      break
    }

    case 'settle': {
      client.drain()
      client.check()
      break
    }

    default: {
      client[done.kind]()
    }
  }
}

describe('xds/session model', () => {
  for (const variant of ['delta', 'sotw'] as const satisfies readonly Variant[])
    for (const voice of ['names', 'silent', 'misleading'] as const satisfies readonly Voice[])
      it(`${variant}: ends with exactly the subscribed part of the snapshot, whatever happens on the way (client ${voice})`, function () {
        this.timeout(60_000)
        // 2,100 runs in state of the world, in which one version in six is refused: none loses a resource that the client had
        playAll(variant, voice, {}, variant === 'sotw' ? 700 : 300)
      })

  for (const voice of ['names', 'silent', 'misleading'] as const satisfies readonly Voice[])
    it(`delta: so it does where a response holds two resources at most (client ${voice})`, function () {
      this.timeout(60_000)
      playAll('delta', voice, {maxPartBytes: TWO_RESOURCES}, 300)
    })
})

function playAll(variant: Variant, voice: Voice, options: SessionOptions, numRuns: number): void {
  fc.assert(
    fc.property(fc.array(act, {minLength: 5, maxLength: 80, size: 'max'}), acts => {
      const client = new ModelClient(variant, voice, options)
      for (const done of acts) play(client, done)
      client.drain()
      client.check()
    }),
    {numRuns},
  )
}
