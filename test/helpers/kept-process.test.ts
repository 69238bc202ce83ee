import {writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, atlasBin, inFolder, runBin} from './atlas.js'

describe('helpers/atlas: a process that runs many commands', function () {
  this.timeout(60_000)

  it('ends each with the output and the exit code of a process of its own', () =>
    inFolder(async folder => {
      const [store, broken] = [path.join(folder, 'state'), path.join(folder, 'file')]
      await writeFile(broken, '')
      await atlas('init', '--store', store, '--address', '203.0.113.7')
      await atlas('cluster', 'add', 'paris', '--store', store)
      for (const args of [
        ['cluster', 'list', '--store', store],
        ['cluster', 'show', 'lyon', '--store', store],
        ['cluster', 'show', 'lyon', '--store', store, '--json'],
        ['cluster', 'list', '--store', broken],
        ['cluster', 'list', '--kubeconfig', path.join(folder, 'none')],
        ['cluster', 'add', 'Not A Name', '--store', store],
        ['cluster', 'values', 'paris', '--store', store],
        ['cluster', 'remove', 'paris', '--store', store],
        ['cluster', 'ad', 'paris'],
        ['cluster', 'list', '--sotre', store],
        ['cluster-values', 'paris', '--store', store],
        ['rotate', '--help'],
        ['--version'],
        [],
      ])
        expect(await atlas(...args), args.join(' ')).to.deep.equal(await runBin(atlasBin, args))
      const {code, stdout} = await atlas('cluster', 'list', '--store', store)
      expect(code).to.equal(0)
      expect(stdout).to.contain('paris')
      expect((await atlas('cluster', 'show', 'lyon', '--store', store)).code).to.equal(3)
    }))

  it('has the environment of the command, without what an earlier command found there', () =>
    inFolder(async folder => {
      const missing = path.join(folder, 'none')
      const read = async (): Promise<string> => (await atlas('cluster', 'list')).stderr
      const {KUBECONFIG} = process.env
      process.env['KUBECONFIG'] = missing
      try {
        expect(await read()).to.contain(missing)
        process.env['KUBECONFIG'] = `${missing}-two`
        expect(await read()).to.contain(`${missing}-two`)
      } finally {
        if (KUBECONFIG === undefined) delete process.env['KUBECONFIG']
        else process.env['KUBECONFIG'] = KUBECONFIG
      }

      expect(await read()).not.to.contain(missing)
    }))
})
