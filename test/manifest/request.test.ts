/** Requests and answers as text; what another account or a later release wrote into a request is refused where it is not understood. */
import {expect} from 'chai'
import {parseAnswer, parseRequest, renderAnswer, renderRequest} from '../../src/lib/manifest/request.js'
import {parseClusterName} from '../../src/lib/model/names.js'
import type {Answer, Asked, Request} from '../../src/lib/model/request.js'
import {thrownBy} from '../helpers/thrown.js'

const request: Request = {
  ...{kind: 'revoke', owners: [parseClusterName('paris')], requestedAt: '2026-11-23T00:00:00.000Z', state: 'waiting'},
}

describe('manifest/request', () => {
  const variants: readonly Partial<Asked>[] = [
    {},
    {reissue: true},
    {reissue: false},
    {credential: 'a'.repeat(64)},
    {generation: 7, reissue: true},
  ]
  for (const options of variants)
    it(`reads what it writes: ${JSON.stringify(options)}`, () => {
      expect(parseRequest(renderRequest({...request, ...options}))).to.deep.equal({...request, ...options})
      const answer: Answer = {...{kind: request.kind, owners: request.owners, state: 'done', answeredAt: request.requestedAt}, ...options}
      expect(parseAnswer(renderAnswer(answer))).to.deep.equal(answer)
    })

  for (const [key, value] of [
    ['kind', 'erase'],
    ['owners', ['../paris']],
    ['reissue', 'yes'],
    ['credential', 'a'.repeat(63)],
    ['credential', 'A'.repeat(64)],
    ['generation', 0],
    ['generation', 1.5],
  ] as const)
    it(`refuses ${key} ${JSON.stringify(value).slice(0, 20)}`, () => {
      expect(thrownBy(() => parseRequest(JSON.stringify({...request, [key]: value}))).code).to.equal('invalid')
    })
})
