import {expect} from 'chai'
import {Disproof, insist, runProof} from '../../src/demo/proof.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {rejectedBy} from '../helpers/thrown.js'

const signal = new AbortController().signal

describe('demo/proof', () => {
  it('holds what was observed, also when it fails', async () => {
    expect(await runProof('a', async () => 'three', signal)).to.deep.equal({name: 'a', ok: true, saw: 'three'})
    const failing = async (): Promise<string> => {
      insist(1 + 1 === 3, 'two')
      return 'three'
    }
    expect(await runProof('a', failing, signal)).to.deep.equal({name: 'a', ok: false, saw: 'two'})
    const broken = async (): Promise<string> => {
      throw new AtlasError('failed', 'no answer', {hint: 'start it'})
    }
    expect(await runProof('a', broken, signal)).to.deep.equal({name: 'a', ok: false, saw: 'no answer (start it)'})
  })

  it('throws when the demo is interrupted meanwhile', async () => {
    const reason = new AtlasError('failed', 'Ctrl-C')
    const failing = async (): Promise<string> => {
      throw new Disproof('cut off')
    }
    expect(await rejectedBy(runProof('a', failing, AbortSignal.abort(reason)))).to.equal(reason)
  })
})
