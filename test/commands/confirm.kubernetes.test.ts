/** A confirmation on a terminal: nothing on the screen claims success before the cluster is removed. */
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasBin, atlasJson, inFolder} from '../helpers/atlas.js'
import {type Seen, onTerminal} from '../helpers/terminal.js'

describe('cluster remove on a terminal', () => {
  it('prints no tick: a wrong name fails and changes nothing, the right one removes the cluster', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      await atlas('init', '--store', store)
      await atlas('cluster', 'add', 'paris', '--store', store)
      const typing = async (answer: string): Promise<Seen> =>
        onTerminal(`"${process.execPath}" "${atlasBin}" cluster remove paris --store "${store}"`, {
          cwd: folder,
          env: {PATH: process.env['PATH'], HOME: folder},
          typed: {prompt: /Type paris to continue/, answer},
        })
      const wrong = await typing('rome')
      expect(wrong.code, wrong.text).to.equal(1)
      expect(wrong.text)
        .to.match(/Type paris to continue: rome/)
        .and.to.include('Error: not confirmed')
      expect(wrong.text).not.to.include('✔')
      expect((await atlas('cluster', 'show', 'paris', '--store', store)).code).to.equal(0)

      const right = await typing('paris')
      expect(right.code, right.text).to.equal(0)
      expect(right.text).to.include('Cluster paris is removed').and.not.to.include('✔')
    }))

  it('--json claims that it is done only when it is', () =>
    inFolder(async folder => {
      await atlas('init', '--store', folder)
      await atlas('cluster', 'add', 'paris', '--store', folder)
      const json = async (...args: string[]) => (await atlasJson<{done: boolean}>(...args, '--store', folder)).value.done
      expect(await json('rotate', 'paris', '--dry-run')).to.equal(false)
      expect(await json('rotate', 'paris')).to.equal(true)
      expect(await json('cluster', 'remove', 'paris', '--dry-run')).to.equal(false)
      expect(await json('cluster', 'remove', 'paris', '--yes')).to.equal(true)
    }))
})
