/** The name of the process that holds a port: what a person can find in a list of processes, and no password of its command line. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {holderInProc, nameOf, renderHolder} from '../../src/server/port-holder.js'
import {inFolder} from '../helpers/atlas.js'

describe('server/port-holder', () => {
  const commandOf = (...words: string[]): string => words.map(word => `${word}\0`).join('')

  it('a program has its own name, and Node that of its script and subcommand', () => {
    expect(nameOf('envoy', commandOf('/usr/bin/envoy', '-c', 'x'))).to.equal('envoy')
    expect(nameOf('MainThread', commandOf('/usr/bin/node', '--max-semi-space-size=4', '/srv/atlas/bin/run.js', 'demo', '--once'))).to.equal(
      'node …/bin/run.js demo',
    )
    expect(nameOf('MainThread', commandOf('node', '/usr/local/bin/atlas', 'serve'))).to.equal('node …/bin/atlas serve')
    expect(nameOf('MainThread', commandOf('node', 'server.mjs', '--password=secret'))).to.equal('node server.mjs')
    expect(nameOf('MainThread', commandOf('node', '-e', 'connect("secret")'))).to.equal('node')
  })

  it('text of another program is bounded and escaped, and without any the process alone is named', () => {
    const name = nameOf('MainThread', commandOf('node', `/srv/\u001b[31m${'x'.repeat(300)}.js`)) ?? ''
    expect(name.length).to.be.at.most(90)
    expect(name)
      .to.contain(String.raw`\u001b`)
      .and.not.to.contain('\u001b')
    expect(nameOf('x\u001by', '')).to.equal(String.raw`x\u001by`)
    for (const none of [nameOf('MainThread', ''), nameOf('', '')]) expect(none).to.equal(undefined)
    expect(renderHolder({name: undefined, pid: 4711})).to.equal(' (held by process 4711)')
  })

  it('of a Node that runs: its script, where there is /proc', () =>
    inFolder(async folder => {
      const script = path.join(folder, 'holder.mjs')
      await writeFile(
        script,
        "import {createServer} from 'node:net'\nconst s = createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))\n",
      )
      const child = spawn(process.execPath, [script, 'demo', '--password=secret'], {stdio: ['ignore', 'pipe', 'inherit']})
      try {
        const [port] = (await once(child.stdout, 'data')) as [Buffer]
        const holder = holderInProc({host: '127.0.0.1', port: Number(String(port)), protocol: 'tcp'})
        expect(holder?.pid).to.equal(process.platform === 'linux' ? child.pid : undefined)
        if (holder !== undefined) expect(holder.name).to.match(/^node( …\/[^ ]+\/holder\.mjs demo)?$/)
      } finally {
        child.kill()
      }
    }))
})
