/** `atlas rotate` on a directory: what it begins, shows and refuses. What servers make of it is in test/ops/rotation and test/e2e. */
import {expect} from 'chai'
import {atlas, inFolder} from '../helpers/atlas.js'

describe('commands: rotate', function () {
  this.timeout(120_000)

  const inInstallation = async (act: (run: (...args: string[]) => ReturnType<typeof atlas>) => Promise<void>): Promise<void> =>
    inFolder(async store => {
      const run = async (...args: string[]): ReturnType<typeof atlas> => atlas(...args, '--store', store)
      expect((await run('init', '--address', '203.0.113.7')).code).to.equal(0)
      expect((await run('cluster', 'add', 'paris', '--address', '203.0.113.8')).code).to.equal(0)
      await act(run)
    })

  it('begins to replace the issuer, says that a server goes on with it, and shows how far it is', () =>
    inInstallation(async run => {
      expect((await run('rotate', '--status')).stdout).to.match(/^No rotation of the issuer or the root is under way\.\n\nCERTIFICATE /)
      const planned = await run('rotate', '--issuer', '--dry-run')
      expect(planned.code, planned.stderr).to.equal(0)
      expect(planned.stderr).to.match(/The issuer would be replaced:\n1\. announce: .*\n2\. leaves: .*\n3\. retire: /)
      const begun = await run('rotate', '--issuer')
      expect(begun.code, begun.stderr).to.equal(0)
      expect(begun.stderr).to.contain('A server goes on with it, and none runs on').and.contain('Next: atlas rotate --status')
      const shown = await run('rotate', '--status')
      expect(shown.stdout).to.contain('The issuer is being rotated: stage 1 of 3 (announce)')
      expect(shown.stdout)
        .to.match(/^issuer +- /m)
        .and.to.match(/^issuer \(next\) +- /m)
      expect(shown.stderr).to.contain('No server was found that goes on with it: start "atlas serve --store')
      expect(shown.stdout).to.match(/^credential +paris +1 +[0-9a-f]{12} +/m)
      const again = await run('rotate', '--issuer', '--json')
      expect(JSON.parse(again.stdout)).to.deep.equal({rotated: [], done: false, changes: []})
    }))

  it('refuses to rotate the root meanwhile, and clusters that it can not skip', () =>
    inInstallation(async run => {
      const refusals: readonly (readonly [code: number, says: RegExp, ...args: string[]])[] = [
        [2, /are about every cluster, and take no name; got "paris"/, '--issuer', 'paris'],
        [2, /--skip belongs to --issuer or --root/, '--skip', 'paris'],
        [2, /--issuer and --root cannot be/, '--issuer', '--root'],
        [3, /there is no cluster "oslo"/, '--issuer', '--skip', 'oslo'],
        [2, /the observability cluster cannot be skipped/, '--root', '--yes', '--skip', 'atlas'],
        [2, /refusing to replace the root without confirmation .* add --yes/, '--root'],
        [5, /the rotation of the issuer has begun, and no server runs on/, '--issuer', '--wait'],
      ]
      for (const [code, says, ...args] of refusals) {
        const found = await run('rotate', ...args)
        expect([found.code, args], found.stderr).to.deep.equal([code, args])
        expect(found.stderr.replaceAll(/\s+/g, ' ')).to.match(says)
      }

      const other = await run('rotate', '--root')
      expect(other.code).to.equal(4)
      expect(other.stderr.replaceAll(/\s+/g, ' ')).to.contain('the issuer is being rotated, stage 1 of 3 (announce); the root has to wait')
    }))

  it('issues ADS credentials beside those that are in use', () =>
    inInstallation(async run => {
      const {code, stderr} = await run('rotate', '--ads', 'paris')
      expect(code, stderr).to.equal(0)
      expect(stderr).to.contain('write the ADS credential of paris').and.contain('Next: atlas cluster values paris')
      const shown = JSON.parse((await run('rotate', '--status', '--json')).stdout) as {certificates: {kind: string; owner: string}[]}
      expect(shown.certificates.filter(({kind, owner}) => kind === 'credential' && owner === 'paris')).to.have.length(1)
    }))
})
