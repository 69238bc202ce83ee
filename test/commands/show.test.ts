/** `atlas cluster show`: what other commands take from it. */
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasJson, inFolder} from '../helpers/atlas.js'

describe('commands: cluster show', function () {
  this.timeout(60_000)

  it('has the SHA-256 of the ADS credential, as `cluster revoke --credential` takes it', () =>
    inFolder(async folder => {
      const store = ['--store', path.join(folder, 'state')]
      await atlas('init', ...store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', ...store)
      const {sha256} = (await atlasJson<{credential: {sha256: string}}>('cluster', 'show', 'paris', ...store)).value.credential
      expect(sha256).to.match(/^[0-9a-f]{64}$/)
      const digits = sha256.slice(0, 16)
      expect((await atlas('cluster', 'show', 'paris', ...store)).stdout).to.match(
        new RegExp(`^ADS credential +spiffe:.*, SHA-256 ${digits}, until `, 'm'),
      )
      const {code, stderr} = await atlas('cluster', 'revoke', 'paris', '--credential', digits, ...store, '--yes')
      expect(code, stderr).to.equal(4)
      expect(stderr).to.contain(`credential ${sha256} is the newest of paris`)
    }))
})
