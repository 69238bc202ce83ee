import {chmod, stat} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, inFolder} from '../helpers/atlas.js'

describe('commands: a store whose keys others could read', function () {
  this.timeout(180_000)

  it('list says once, on stderr, that a file with a key was open to other users, and what replaces the key', () =>
    inFolder(async folder => {
      const at = ['--store', path.join(folder, 'state')]
      await atlas('init', ...at)
      await atlas('cluster', 'add', 'paris', ...at, '--address', '198.51.100.4')
      const secret = path.join(folder, 'state', 'secret-paris-envoy-ads.yaml')
      await chmod(secret, 0o644)
      const {code, stdout, stderr} = await atlas('cluster', 'list', ...at)
      expect([code, stdout.includes('paris'), (await stat(secret)).mode & 0o777]).to.deep.equal([0, true, 0o600])
      expect(stderr.match(/^Warning: .*$/gm)).to.have.length(1)
      expect(stderr)
        .to.contain('secret-paris-envoy-ads.yaml (0644); the mode is 0600 again')
        .and.to.contain(`"atlas cluster revoke paris --reissue ${at.join(' ')}"`)
      expect((await atlas('cluster', 'list', ...at)).stderr).to.equal('')
      await chmod(secret, 0o644)
      const asJson = await atlas('cluster', 'list', ...at, '--json')
      expect(JSON.parse(asJson.stdout)).to.be.an('object')
      expect(asJson.stderr, 'nothing is hidden by --json').to.contain('secret-paris-envoy-ads.yaml (0644)')
    }))
})
