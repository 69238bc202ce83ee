/** Log lines: JSON, bounded, without keys. */
import {expect} from 'chai'
import {SecretText} from '../../src/lib/model/secret.js'
import {type LogFields, openLog} from '../../src/server/log.js'

describe('a log', () => {
  const lines: string[] = []
  const log = openLog({to: {write: (line: string) => lines.push(line)}})
  const last = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>

  it('writes one JSON object a line', () => {
    log.info('stream open', {cluster: 'paris', node: 'envoy-0', names: ['a']})
    expect(last()).to.deep.include({level: 'info', msg: 'stream open', cluster: 'paris', node: 'envoy-0', names: ['a']})
    expect(Date.parse(String(last()['time']))).to.be.closeTo(Date.now(), 5000)
  })

  it('leaves out lines below its level', () => {
    const before = lines.length
    log.debug('nothing')
    expect(lines).to.have.length(before)
  })

  it('keeps text of clients on its line, and cuts it', () => {
    log.warn('NACK', {nack: `a\n{"level":"error"}${'x'.repeat(5000)}`})
    expect(lines.at(-1)?.trimEnd()).not.to.include('\n')
    expect(String(last()['nack'])).to.have.length(1000)
  })

  it('never shows a key', () => {
    log.error('bad', {text: '-----BEGIN PRIVATE KEY-----\nMIG', list: ['-----BEGIN EC PRIVATE KEY-----']})
    log.error('-----BEGIN RSA PRIVATE KEY-----', {key: new SecretText('abc')} as unknown as LogFields)
    expect(lines.slice(-2).join('')).not.to.match(/BEGIN|MIG|abc/)
  })
})
