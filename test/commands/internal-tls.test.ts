/** `atlas init` and the internal ports: named clients first, then the port, and back. */
import {existsSync} from 'node:fs'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, inFolder} from '../helpers/atlas.js'

describe('commands: init, with internal TLS', function () {
  this.timeout(60_000)

  it('adds clients, switches the port on and off, removes the clients, and reports each step', () =>
    inFolder(async store => {
      const init = async (...args: string[]): Promise<string> => {
        const {code, stderr} = await atlas('init', '--store', store, ...args)
        expect(code, stderr).to.equal(0)
        return stderr
      }
      const secret = (name: string): boolean => existsSync(path.join(store, `secret-atlas-client-${name}.yaml`))

      await init('--address', '203.0.113.7')
      expect(await init('--client', 'thanos', '--client', 'ruler'))
        .to.contain('write the certificate of client thanos')
        .and.contain('clients: (none) -> thanos,ruler')
      expect([secret('thanos'), secret('ruler')]).to.deep.equal([true, true])
      expect(await init('--internal-tls', '10901')).to.contain('internal-tls: (none) -> 10901')
      expect(await init('--client', 'thanos')).to.contain('remove the certificate of client ruler')
      expect([secret('thanos'), secret('ruler')]).to.deep.equal([true, false])
      expect(await init('--internal-tls', 'off', '--client', 'none'))
        .to.contain('internal-tls: 10901 -> (none)')
        .and.contain('remove the certificate of client thanos')
      expect(secret('thanos')).to.equal(false)
      expect(await init('--client', 'ingress:10904,10902', '--client', 'thanos', '--client', 'thanos:10902')).to.contain(
        'clients: (none) -> ingress:10902,ingress:10904,thanos:10901,thanos:10902',
      )
      expect(await init('--internal-tls', '10904', '--internal-tls', '10902')).to.contain('internal-tls: (none) -> 10904,10902')
    }))

  it('refuses a port that would admit no client, and ports and names that do not exist', () =>
    inFolder(async store => {
      await atlas('init', '--store', store)
      const refusals: readonly (readonly [args: readonly string[], says: RegExp])[] = [
        [['--internal-tls', '10901'], /no client is named.*\n.*atlas init --client thanos/],
        [['--internal-tls', '10904', '--client', 'thanos'], /no client is named for it.*\n.*atlas init --client ingress:10904/],
        [
          ['--internal-tls', '10903', '--client', 'thanos'],
          /--internal-tls must be one that can be switched to mutual TLS: 10901, 10902, 10904/,
        ],
        [['--client', 'ingress:'], /the port of --client must be one/],
        [['--client', 'ingress:10904,443'], /the port of --client must be one/],
        [['--client', ':10904'], /--client must be/],
        [['--internal-tls', 'off', '--internal-tls', '10901', '--client', 'thanos'], /--internal-tls must be/],
        [['--client', 'Thanos'], /--client must be/],
        [['--client', ''], /--client must be/],
        [['--client-directory', 'here'], /--client-directory must be an absolute path/],
      ]
      for (const [args, says] of refusals) {
        const {code, stderr} = await atlas('init', '--store', store, ...args)
        expect([code, args], stderr).to.deep.equal([2, args])
        expect(stderr.replaceAll(/\s*\n\s+/g, '\n')).to.match(says)
      }
    }))
})
