import {expect} from 'chai'
import {parseExtraEndpoints} from '../../src/lib/model/extra-endpoints.js'
import {AtlasError} from '../../src/lib/model/errors.js'
import {usualExtraEndpoints} from '../helpers/extra-endpoints.js'

const bad: readonly (readonly [what: string, value: unknown, message: string])[] = [
  ['no list', {address: 'a:1'}, 'must be a list'],
  ['an entry that is a text', ['a:1'], 'entry 1'],
  ['no address', [{strict: true}], 'has no address'],
  ['an address without a port', [usualExtraEndpoints[0], {address: 'a'}], 'entry 2'],
  ['a scheme', [{address: 'https://a'}], 'HOST:PORT'],
  ['the same address twice', [{address: 'a:1'}, {address: 'a:1'}], 'an entry before it'],
  ['an unknown field', [{address: 'a:1', stict: true}], 'unknown field "stict"'],
  ['a key in the list', [{address: 'a:1', client_config: {tls_config: {key: 'x'}}}], 'unknown field "key"'],
  ['a key in the place of a file', [{address: 'a:1', client_config: {tls_config: {key_file: '-----BEGIN X'}}}], 'path of a file'],
  ['strict and DNS', [{address: 'dns+a:1', strict: true}], '"strict"'],
  ['settings that Thanos ignores', [{address: 'dns+a:1', client_config: {server_name: 'x'}}], 'ignores "client_config"'],
  ['a service config without a group', [{address: 'a:1', service_config: '{}'}], 'only a group'],
  ['a flag that is a text', [{address: 'a:1', strict: 'yes'}], 'true or false'],
  ['too many', Array.from({length: 501}, (_, index) => ({address: `a:${index + 1}`})), 'at most 500'],
]

describe('model/extra-endpoints', () => {
  it('are kept as they are, from a list or from a whole file', () => {
    expect(parseExtraEndpoints(usualExtraEndpoints)).to.deep.equal(usualExtraEndpoints)
    expect(parseExtraEndpoints({endpoints: usualExtraEndpoints})).to.deep.equal(usualExtraEndpoints)
  })

  for (const [what, value, message] of bad)
    it(`refuses ${what}, and never quotes a key`, () => {
      expect(() => parseExtraEndpoints(value))
        .to.throw(AtlasError, message)
        .and.to.satisfy((error: Error) => !error.message.includes('BEGIN'))
    })
})
