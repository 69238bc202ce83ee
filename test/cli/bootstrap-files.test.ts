/** Files of a bootstrap that cannot be written: what is left, and what to do. */
import {mkdir, readFile, readdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {hintOfWriting, writeFiles} from '../../src/lib/cli/bootstrap-files.js'
import {inFolder} from '../helpers/atlas.js'
import {rejectedBy} from '../helpers/thrown.js'

const files = [
  {path: 'certs/tls.key', text: 'a key'},
  {path: 'envoy.json', text: '{}'},
  {path: 'upstream/one/ca.crt', text: 'a certificate'},
]

describe('cli/bootstrap-files', () => {
  it('where a file cannot be written, those that were not there before are removed again, and all others stay', () =>
    inFolder(async folder => {
      const directory = path.join(folder, 'deep', 'envoy')
      // The system refuses a name of 300 characters only after the others are written.
      const last = {path: `upstream/${'x'.repeat(300)}`, text: ''}
      const {message} = await rejectedBy(writeFiles(directory, [...files, last], ['certs/tls.key']))
      expect(message).to.contain('ENAMETOOLONG')
      expect(await readdir(folder)).to.deep.equal([])

      await mkdir(directory, {recursive: true})
      await writeFile(path.join(directory, 'mine'), 'mine')
      await writeFile(path.join(directory, 'envoy.json'), 'of before')
      await rejectedBy(writeFiles(directory, [...files, last], ['certs/tls.key']))
      expect((await readdir(directory)).sort()).to.deep.equal(['envoy.json', 'mine'])
      expect(await readFile(path.join(directory, 'envoy.json'), 'utf8')).to.equal('{}')
    }))

  it('a full disk and a quota have a hint', () => {
    const hintOf = (code: string): string | undefined => hintOfWriting(Object.assign(new Error('no'), {code}))
    expect(hintOf('ENOSPC')).to.contain('with room on its disk; then run the command again')
    expect(hintOf('EDQUOT')).to.equal(hintOf('ENOSPC'))
    expect(hintOf('EROFS')).to.contain('name another place')
    expect(hintOf('EIO')).to.equal(undefined)
  })
})
