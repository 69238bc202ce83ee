import {expect} from 'chai'
import {appendFile, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {lastLines, linesSince, logLength} from '../../../src/demo/lab/log-file.js'
import {inFolder} from '../../helpers/atlas.js'

describe('demo/log-file', () => {
  it('returns the last lines, cut, and the lines since a given length', () =>
    inFolder(async folder => {
      const file = path.join(folder, 'log')
      expect(lastLines(file, 3)).to.equal('  (it printed nothing)')
      expect(logLength(file)).to.equal(0)
      await writeFile(file, `one\n\ntwo\n${'x'.repeat(500)}\n`)
      expect(lastLines(file, 2)).to.equal(`  two\n  ${'x'.repeat(400)} …`)
      const from = logLength(file)
      await appendFile(file, 'three\nhalf')
      expect(linesSince(file, from)).to.deep.equal(['three'])
    }))
})
