/** The proxy passes everything on unchanged, except for the faults that a test plays: with kubectl and Node, over both versions of HTTP. */
import {readFile} from 'node:fs/promises'
import {type ClientHttp2Stream, connect} from 'node:http2'
import type {IncomingMessage} from 'node:http'
import {request as httpsRequest} from 'node:https'
import {setTimeout as sleep} from 'node:timers/promises'
import {expect} from 'chai'
import {type FaultProxy, faultProxy} from './fault-proxy.js'
import {type Access, readKubeconfig} from './kubeconfig.js'
import type {Kubernetes} from './kubernetes.js'
import {sharedKubernetes} from './shared.js'

describe('the fault proxy', () => {
  let kubernetes: Kubernetes
  let proxy: FaultProxy
  let maps: string
  before(async () => {
    kubernetes = await sharedKubernetes()
  })
  beforeEach(async () => {
    maps = `/api/v1/namespaces/${await kubernetes.newNamespace()}/configmaps`
    proxy = await faultProxy(kubernetes)
  })
  afterEach(async () => proxy.close())

  const through = async (method: string, path: string, body?: unknown) =>
    kubernetes.request(method, path, body, {kubeconfig: proxy.kubeconfig})
  const make = async (name: string, data = {}) => kubernetes.request('POST', maps, {metadata: {name}, data})
  /** The error's code, or the status. */
  const outcome = async (asked: ReturnType<typeof through>) =>
    asked.then(
      ({status}) => status,
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    )

  it('passes kubectl through and counts its requests', async () => {
    await make('a')
    const list = ['get', 'configmaps', '-o', 'name', '-n', namespaceIn(maps)]
    const {code, stdout} = await kubernetes.kubectl(list, {kubeconfig: proxy.kubeconfig})
    expect([code, stdout]).to.deep.equal([0, 'configmap/a\n'])
    while (proxy.requests({isOpen: true}).length > 0) await sleep(5)
    const [seen, ...more] = proxy.requests({method: 'GET', path: maps})
    expect(more).to.have.length(0)
    expect(seen).to.deep.include({isWatch: false, nth: 1, status: 200, isOpen: false})
    proxy.reset()
    expect(proxy.requests()).to.deep.equal([])
  })

  it('passes the content of a request, and the identity of its sender', async () => {
    expect((await through('POST', maps, {metadata: {name: 'a'}, data: {key: 'é'.repeat(200_000)}})).status).to.equal(201)
    const {body} = await kubernetes.request<{data: {key: string}}>('GET', `${maps}/a`)
    expect(body.data.key).to.equal('é'.repeat(200_000))
    expect(JSON.parse(proxy.requests({method: 'POST'})[0]!.body)).to.have.nested.property('metadata.name', 'a')
    const nobody = await kubernetes.serviceAccountKubeconfig(namespaceIn(maps), 'nobody')
    const {status} = await kubernetes.request('GET', maps, undefined, {kubeconfig: await proxy.kubeconfigOf(nobody)})
    expect(status).to.equal(403)
  })

  it('answers instead of the API server', async () => {
    proxy.play(({method, nth}) => {
      if (method !== 'POST') return undefined
      return nth === 1 ? {kind: 'answer', status: 429, headers: {'retry-after': '1'}, body: {kind: 'Status'}} : undefined
    })
    const {status, body} = await through('POST', maps, {metadata: {name: 'a'}})
    expect([status, body]).to.deep.equal([429, {kind: 'Status'}])
    expect((await kubernetes.request('GET', `${maps}/a`)).status).to.equal(404)
    expect((await through('POST', maps, {metadata: {name: 'a'}})).status).to.equal(201)
    expect(proxy.requests({method: 'POST', path: maps}).map(({status: each}) => each)).to.deep.equal([429, 201])
  })

  it('cuts the connection before the API server receives the request, or after', async () => {
    proxy.play(() => ({kind: 'refuse'}))
    expect(await outcome(through('POST', maps, {metadata: {name: 'unheard'}}))).to.equal('ECONNRESET')
    expect((await kubernetes.request('GET', `${maps}/unheard`)).status).to.equal(404)
    proxy.play(() => ({kind: 'cut', after: 'nothing'}))
    expect(await outcome(through('POST', maps, {metadata: {name: 'heard'}}))).to.equal('ECONNRESET')
    expect((await kubernetes.request('GET', `${maps}/heard`)).status).to.equal(200)
  })

  it('delays, and hangs until it is cut', async () => {
    proxy.play(() => ({kind: 'delay', ms: 300}))
    const start = performance.now()
    expect((await through('GET', maps)).status).to.equal(200)
    expect(performance.now() - start).to.be.greaterThan(290)
    proxy.play(() => ({kind: 'hang'}))
    const hanging = outcome(through('GET', maps))
    while (proxy.requests({isOpen: true}).length === 0) await sleep(5)
    expect(await Promise.race([hanging, sleep(300, 'hangs')])).to.equal('hangs')
    expect(proxy.requests({isOpen: true})).to.have.length(1)
    proxy.cutAll()
    expect(await hanging).to.equal('ECONNRESET')
  })

  it('goes down and comes up at the same address', async () => {
    await proxy.down()
    expect(await outcome(through('GET', maps))).to.equal('ECONNREFUSED')
    await proxy.up()
    expect(await outcome(through('GET', maps))).to.equal(200)
  })

  for (const version of [1, 2] as const)
    describe(`of a watch over HTTP/${version}`, () => {
      let watches: Watch[]
      beforeEach(() => (watches = []))
      afterEach(() => watches.forEach(watch => watch.close()))
      const watch = async () => {
        const started = await startWatch(version, await readKubeconfig(proxy.kubeconfig), `${maps}?watch=true`)
        watches.push(started)
        return started
      }

      it('passes each event at once, and its end', async () => {
        const {next, ended} = await watch()
        await make('a')
        expect(await next()).to.include('"name":"a"')
        await make('b')
        expect(await next()).to.include('"name":"b"')
        expect(proxy.requests({path: maps, isWatch: true, isOpen: true})).to.have.length(1)
        proxy.cutAll()
        expect(await ended).to.equal('broken')
        while (proxy.requests({isWatch: true, isOpen: true}).length > 0) await sleep(5)
      })

      for (const kind of ['cut', 'end'] as const)
        it(`passes half an event and ${kind}s`, async () => {
          proxy.play(({isWatch}) => (isWatch ? {kind, after: {events: 1, bytes: 30}} : undefined))
          const {next, ended, text} = await watch()
          await make('a')
          expect(await next()).to.include('"name":"a"')
          await make('b')
          expect(await ended).to.equal(kind === 'cut' ? 'broken' : 'whole')
          const [, second] = text().split('\n')
          expect(second)
            .to.have.length(30)
            .and.to.match(/^{"type":"ADDED","object":{/)
        })

      it('sends nothing more after an event, and keeps the connection', async () => {
        proxy.play(() => ({kind: 'stall', after: {events: 1}}))
        const {next, ended} = await watch()
        await make('a')
        await make('b')
        expect(await next()).to.include('"name":"a"')
        expect(await Promise.race([next(), ended, sleep(300, 'silent')])).to.equal('silent')
        expect(proxy.requests({isOpen: true})).to.have.length(1)
      })

      it('is answered with an error event', async () => {
        const body = `${JSON.stringify({type: 'ERROR', object: {kind: 'Status', code: 410}})}\n`
        proxy.play(() => ({kind: 'answer', status: 200, body}))
        const {next, ended} = await watch()
        expect(await next()).to.include('410')
        expect(await ended).to.equal('whole')
      })
    })

  it('refuses a client certificate instead of a token', async () => {
    const user = await kubernetes.userKubeconfig('jane', {namespace: 'default'})
    const refused: unknown = await proxy.kubeconfigOf(user).catch((error: unknown) => error)
    expect(String(refused)).to.include('must hold a token')
    expect(await readFile(user, 'utf8')).to.include('client-certificate-data')
  })
})

function namespaceIn(path: string): string {
  return path.split('/')[4]!
}

interface Watch {
  /** The next line. */
  next(): Promise<string>
  /** All that came. */
  text(): string
  readonly ended: Promise<'broken' | 'whole'>
  close(): void
}

interface Stream<Of> {
  readonly stream: Of
  /** Asked at the stream's end. */
  isConnected(): boolean
  close(): void
}

async function startWatch(version: 1 | 2, access: Access, path: string): Promise<Watch> {
  const {stream, isConnected, close} = await (version === 1 ? streamOf1(access, path) : streamOf2(access, path))
  let text = ''
  let read = 0
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const ended = new Promise<'broken' | 'whole'>(resolve => {
    stream.once('error', () => resolve('broken'))
    // Over HTTP/2 Node also emits `end` when the connection is lost.
    stream.once('close', () => setImmediate(() => resolve(isConnected() ? 'whole' : 'broken')))
  })
  return {
    ended,
    close,
    text: () => text,
    async next() {
      for (;;) {
        const end = text.indexOf('\n', read)
        if (end !== -1) {
          const line = text.slice(read, end)
          read = end + 1
          return line
        }

        await sleep(5, undefined, {ref: false})
      }
    },
  }
}

async function streamOf1({server, ca, credential}: Access, path: string): Promise<Stream<IncomingMessage>> {
  const headers = {authorization: `Bearer ${'token' in credential ? credential.token : ''}`}
  return new Promise((resolve, reject) => {
    const request = httpsRequest(new URL(path, server), {ca, headers, agent: false}, stream =>
      resolve({stream, isConnected: () => stream.complete, close: () => request.destroy()}),
    )
    request.once('error', reject)
    request.end()
  })
}

async function streamOf2({server, ca, credential}: Access, path: string): Promise<Stream<ClientHttp2Stream>> {
  const session = connect(server, {ca})
  session.on('error', () => undefined)
  const stream = session.request({':path': path, authorization: `Bearer ${'token' in credential ? credential.token : ''}`})
  await new Promise((resolve, reject) => {
    stream.once('response', resolve)
    stream.once('error', reject)
  })
  return {stream, isConnected: () => !session.destroyed, close: () => session.destroy()}
}
