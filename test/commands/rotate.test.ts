/** `atlas rotate` on a directory: what it begins, shows and refuses. What servers make of it is in test/ops/rotation and test/e2e. */
import {expect} from 'chai'
import {atlas, inFolder} from '../helpers/atlas.js'

const spaced = (text: string): string => text.replaceAll(/\s+/g, ' ')

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
      const begun = await run('rotate', '--issuer')
      expect(begun.code, begun.stderr).to.equal(0)
      expect(begun.stderr).to.contain('A server goes on with it, and none runs on').and.contain('Next: atlas rotate --status')
      expect(spaced(begun.stderr)).to.contain(
        "a thief of the former issuer's key can make identities of every cluster; after it, only towards",
      )
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

  it('--dry-run prints what each stage does and waits for, how long that takes at least, and what a thief can do until when', () =>
    inInstallation(async run => {
      const planOf = async (part: string): Promise<readonly string[]> => {
        const {code, stderr} = await run('rotate', `--${part}`, '--dry-run')
        expect(code, stderr).to.equal(0)
        const lines = stderr.split('\n')
        return lines.slice(lines.indexOf(`The ${part} would be replaced:`) + 1)
      }

      const issuer = await planOf('issuer')
      const acknowledged = /each must acknowledge it$/
      expect(issuer[0])
        .to.match(/^1\. announce: the next certificates are made, /)
        .and.match(acknowledged)
      expect(issuer[1]).to.match(/^2\. leaves: .* issued again, .*each Envoy must acknowledge its own, and clients have an hour$/)
      expect(issuer[2]).to.match(/^3\. retire: the former issuer leaves every bundle; each connected Envoy and server must acknowledge it$/)
      expect(issuer[3]).to.match(/^It takes seconds where every cluster is connected, and an hour where clients .*; ten minutes more where/)
      expect(issuer[4]).to.match(
        /^Until the end of the last stage a thief of the former issuer's key can make identities of every cluster; /,
      )
      expect(issuer[4]).to.match(/after it, only towards an Envoy that was left behind or has not been connected since\. Where /)
      expect(issuer[4]).to.match(/ go on with "atlas rotate --root --store [^"]+"\.$/)

      const root = await planOf('root')
      expect(root[0])
        .to.match(/^1\. announce: /)
        .and.match(acknowledged)
      expect(root[1]).to.match(/^2\. credentials: .*each must be applied in its cluster .*, and each Envoy must connect with it$/)
      expect(root[2]).to.equal(issuer[1]?.replace('2. ', '3. '))
      expect(root[3]).to.match(
        /^4\. retire: the former root and issuers leave .*each must be applied, and each Envoy must connect with it$/,
      )
      expect(root[4]).to.match(
        /^It takes as long as applying the credentials takes; an Envoy connects again with a new one within the hour/,
      )
      expect(root[5]).to.match(
        /^Until the end of the last stage a thief of the former root's key can do all that Atlas can; after it, only /,
      )
      expect(root[6]).to.match(/^By hand: in stage 2 of 4 \(credentials\), and again in stage 4 of 4 \(retire\), /)
      expect((await run('rotate', '--status')).stdout).to.contain('No rotation of the issuer or the root is under way.')
    }))

  it('refuses to rotate the root meanwhile, and clusters that it can not skip', () =>
    inInstallation(async run => {
      const refusals: readonly (readonly [code: number, says: RegExp, ...args: string[]])[] = [
        [2, /are about every cluster, and take no name; got "paris"/, '--issuer', 'paris'],
        [2, /are about every cluster, and take no name; got "paris"/, '--root', '--cluster', 'paris'],
        [2, /the arguments name "paris", and --cluster names "atlas" .* name each cluster once/, 'paris', '--cluster', 'atlas'],
        [2, /the arguments name "atlas", and --cluster names "paris" .* name each cluster once/, '--cluster', 'paris', 'atlas'],
        [2, /--cluster is empty/, '--cluster', ''],
        [3, /there is no cluster "oslo"/, '--cluster', 'oslo'],
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
        expect(spaced(found.stderr)).to.match(says)
      }

      const other = await run('rotate', '--root')
      expect(other.code).to.equal(4)
      expect(spaced(other.stderr)).to.contain('the issuer is being rotated, stage 1 of 3 (announce); the root has to wait')
    }))

  it('issues the certificates of the clusters that arguments or --cluster name, and of no other', () =>
    inInstallation(async run => {
      const rotated = async (...args: string[]): Promise<unknown> => {
        const {code, stdout, stderr} = await run('rotate', '--json', ...args)
        expect(code, stderr).to.equal(0)
        return (JSON.parse(stdout) as {rotated: unknown}).rotated
      }

      for (const args of [['paris'], ['--cluster', 'paris'], ['--cluster=paris', 'paris'], ['--ads', '--cluster', 'paris']])
        expect(await rotated(...args), args.join(' ')).to.deep.equal(['paris'])
      expect(await rotated('--cluster', 'paris', '--cluster', 'atlas')).to.have.members(['atlas', 'paris'])
      expect(await rotated()).to.have.members(['atlas', 'paris'])
    }))

  it('says which clusters a rotation of all leaves out, since they are revoked', () =>
    inInstallation(async run => {
      expect((await run('rotate')).stderr).not.to.contain('revoked')
      expect((await run('cluster', 'revoke', 'paris', '--yes')).code).to.equal(0)
      for (const args of [[], ['--ads'], ['--dry-run']]) {
        const {code, stderr} = await run('rotate', ...args)
        expect(code, stderr).to.equal(0)
        expect(stderr, args.join(' ')).to.match(
          /^Nothing is issued for paris, which is revoked: "atlas cluster restore NAME --store [^"]+" ends that\.$/m,
        )
      }

      expect((await run('rotate', 'atlas')).stderr).not.to.contain('revoked')
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
