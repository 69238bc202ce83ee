/** How long what was read is used: credentials and certificates that are replaced, expire, or are refused. */
import {expect} from 'chai'
import {appendFile, chmod, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {type Server, createServer} from 'node:https'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {type PeerCertificate, TLSSocket} from 'node:tls'
import {openAccess} from '../../../../src/lib/store/kubernetes/access.js'
import {type Client, openClient} from '../../../../src/lib/store/kubernetes/client.js'
import {type Certified, certify} from '../../../helpers/kubernetes/certificates.js'
import {rejectedBy} from '../../../helpers/thrown.js'

describe('access to a cluster', () => {
  let ca: Certified
  let serving: Certified
  let folder: string
  let server: Server
  /** What each request had: its token, and the common name of its client certificate. */
  let seen: {readonly token: string; readonly client: string}[]
  /** Tokens that the server refuses. */
  let refused: Set<string>
  const opened: Client[] = []

  before(async () => {
    ca = await certify({name: 'ca'})
    serving = await certify({name: 'server', addresses: ['127.0.0.1']}, ca)
  })
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-access-'))
    seen = []
    refused = new Set()
    server = createServer(
      {cert: serving.certificate, key: serving.key, ca: ca.certificate, requestCert: true, rejectUnauthorized: false},
      (request, response) => {
        const token = (request.headers.authorization ?? '').replace('Bearer ', '')
        const certificate = request.socket instanceof TLSSocket ? request.socket.getPeerCertificate() : undefined
        seen.push({token, client: String((certificate as Partial<PeerCertificate> | undefined)?.subject?.CN)})
        response.writeHead(refused.has(token) ? 401 : 200, {'content-type': 'application/json'}).end('{}')
      },
    )
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  })
  afterEach(async () => {
    for (const client of opened.splice(0)) client.close()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    await rm(folder, {recursive: true})
  })

  async function open(user: object, options: {readonly rereadMs?: number} = {}): Promise<Client> {
    const {port} = server.address() as AddressInfo
    await writeFile(
      path.join(folder, 'config'),
      JSON.stringify({
        clusters: [
          {
            name: 'c',
            cluster: {server: `https://127.0.0.1:${port}`, 'certificate-authority-data': Buffer.from(ca.certificate).toString('base64')},
          },
        ],
        users: [{name: 'u', user}],
        contexts: [{name: 'x', context: {cluster: 'c', user: 'u', namespace: 'elsewhere'}}],
        'current-context': 'x',
      }),
    )
    const client = openClient(await openAccess({kubeconfig: path.join(folder, 'config')}, options))
    opened.push(client)
    return client
  }

  const ask = async (client: Client): Promise<unknown> =>
    client.call({info: {verb: 'get', resource: 'none', group: '', namespace: ''}, path: '/'})
  const tokens = (): readonly string[] => seen.map(({token}) => token)

  /** A program that prints `token-N` at its Nth run; each run writes a line to `runs`. */
  async function program(rest = ''): Promise<object> {
    const file = path.join(folder, 'give.sh')
    await writeFile(
      file,
      `#!/bin/sh\necho >> "${folder}/runs"\nn=$(wc -l < "${folder}/runs" | tr -d ' ')\necho "{\\"apiVersion\\": \\"client.authentication.k8s.io/v1\\", \\"kind\\": \\"ExecCredential\\", \\"status\\": {\\"token\\": \\"token-$n\\"${rest}}}"\n`,
    )
    await chmod(file, 0o755)
    return {exec: {apiVersion: 'client.authentication.k8s.io/v1', command: './give.sh', interactiveMode: 'Never'}}
  }

  it("takes Atlas's namespace, not the context's", async () => {
    expect((await open({token: 't'})).namespace).to.equal('atlas')
  })

  it('runs a program once for requests at the same time and afterwards, while its credential lasts', async () => {
    const client = await open(await program(', \\"expirationTimestamp\\": \\"2100-01-01T00:00:00Z\\"'))
    await Promise.all([ask(client), ask(client), ask(client)])
    await ask(client)
    expect(tokens()).to.deep.equal(['token-1', 'token-1', 'token-1', 'token-1'])
  })

  it('runs a program again when its credential has expired', async () => {
    const client = await open(await program(', \\"expirationTimestamp\\": \\"2020-01-01T00:00:00Z\\"'))
    await ask(client)
    await ask(client)
    expect(tokens()).to.deep.equal(['token-1', 'token-2'])
  })

  it('runs a program again when the API server refuses its credential, and repeats the request', async () => {
    const client = await open(await program())
    await ask(client)
    refused.add('token-1')
    await ask(client)
    expect(tokens()).to.deep.equal(['token-1', 'token-1', 'token-2'])
  })

  it('does not repeat a request for ever', async () => {
    const client = await open(await program())
    for (let run = 1; run < 10; run += 1) refused.add(`token-${run}`)
    expect((await rejectedBy(ask(client))).message).to.match(/does not accept the credentials of context "x"/)
    expect(tokens()).to.deep.equal(['token-1', 'token-2'])
  })

  it('reads a token again that the API server refuses', async () => {
    await writeFile(path.join(folder, 'token'), 'first')
    const client = await open({tokenFile: 'token'})
    await ask(client)
    await writeFile(path.join(folder, 'token'), 'second')
    refused.add('first')
    await ask(client)
    expect(tokens()).to.deep.equal(['first', 'first', 'second'])
  })

  it('reads a token again after a while, and keeps the last one while the file is missing or empty', async () => {
    const file = path.join(folder, 'token')
    await writeFile(file, 'first')
    const client = await open({tokenFile: 'token'}, {rereadMs: 0})
    await ask(client)
    await rm(file)
    await ask(client)
    await writeFile(file, '')
    await ask(client)
    await writeFile(file, 'second\n')
    await ask(client)
    expect(tokens()).to.deep.equal(['first', 'first', 'first', 'second'])
  })

  it('keeps the credentials while the kubeconfig is being written', async () => {
    await writeFile(path.join(folder, 'token'), 'first')
    const client = await open({tokenFile: 'token'})
    await appendFile(path.join(folder, 'config'), '{')
    refused.add('first')
    expect((await rejectedBy(ask(client))).message).to.match(/does not accept the credentials/)
    refused.clear()
    await ask(client)
    expect(tokens()).to.deep.equal(['first', 'first'])
  })

  it('connects with a client certificate that was replaced', async () => {
    const files = {'client-certificate': path.join(folder, 'cert.pem'), 'client-key': path.join(folder, 'key.pem')}
    const write = async (name: string): Promise<void> => {
      const {certificate, key} = await certify({name}, ca)
      await writeFile(files['client-certificate'], certificate)
      await writeFile(files['client-key'], key)
    }
    await write('first')
    const client = await open(files, {rereadMs: 0})
    await ask(client)
    await write('second')
    await ask(client)
    expect(seen.map(each => each.client)).to.deep.equal(['first', 'second'])
  })

  it('names the program that is not installed, and the hint of the kubeconfig', async () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'atlas-no-such',
      installHint: 'brew install\n  \u001B[1mit',
      interactiveMode: 'Never',
    }
    const client = await open({exec})
    const error = await rejectedBy(ask(client))
    expect(error).to.include({
      message: 'cannot get credentials for context "x": the program atlas-no-such is not installed',
      hint: 'brew install [1mit',
    })
  })
})
