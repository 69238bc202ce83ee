/** The hints of errors: what a user without a right is told, and commands in texts. */
import {expect} from 'chai'
import {commandsInSameStore} from '../../../src/lib/cli/flags/store.js'
import {errorReport} from '../../../src/lib/cli/text/error.js'
import {AtlasError, accessHint} from '../../../src/lib/model/errors.js'

describe('cli/text/error', () => {
  it('what this user may not read is not to be repaired, deleted or restored', () => {
    const message = "the issuer cannot be read: secret-atlas-issuer.yaml, the whole object: it can't be read: EACCES"
    const {hint} = errorReport(new AtlasError('failed', message, {hint: 'restore it from a backup'}))
    expect(hint).to.include('this user lacks the right').and.not.include('backup')
  })

  it('a missing right to a file has one code, however it was met; a port or a network that refuses is another thing', () => {
    const denied = (code: string): Error => Object.assign(new Error('no'), {code, path: '/srv/x', syscall: 'open'})
    const codeOf = (error: AtlasError): string => errorReport(error).code
    for (const kind of ['unreachable', 'invalid', 'failed'] as const) {
      for (const code of ['EACCES', 'EPERM']) {
        const error = new AtlasError(kind, 'cannot read', {cause: denied(code)})
        expect([codeOf(error), codeOf(new AtlasError(kind, 'cannot', {cause: error}))], code).to.deep.equal(['failed', 'failed'])
      }

      expect(codeOf(new AtlasError(kind, 'cannot read', {cause: denied('ENOENT')}))).to.equal(kind)
      const socket = Object.assign(new Error('no'), {code: 'EACCES', syscall: 'connect', address: '192.0.2.1'})
      expect(codeOf(new AtlasError(kind, 'cannot connect', {cause: socket}))).to.equal(kind)
      expect(codeOf(new AtlasError(kind, "Service/paris: it can't be read: EACCES"))).to.equal('failed')
    }
  })

  it('only where a right is missing, or the file system can only be read, the hint is about that', () => {
    const hintOf = (code: string): string | undefined => accessHint(Object.assign(new Error('no'), {code}))
    expect(hintOf('EACCES')).to.include('chown')
    expect(hintOf('EPERM')).to.equal(hintOf('EACCES'))
    expect(hintOf('EROFS')).to.include('can only be read')
    const ofStore = accessHint(Object.assign(new Error('no'), {code: 'EROFS'}), 'store')
    expect(ofStore, 'a store that exists has no other place').to.include('mount that writable').and.not.include('name another place')
    expect([hintOf('ENOENT'), accessHint(new Error('no')), accessHint('no')]).to.deep.equal([undefined, undefined, undefined])
  })

  it('commands in quotes are completed by the flags that they lack, and nothing else is', () => {
    const flags = {store: undefined, namespace: 'obs', context: 'one', kubeconfig: undefined}
    const complete = (text: string): string => commandsInSameStore(text, flags)
    expect(complete('run "atlas cluster show paris", or "atlas status"')).to.equal(
      'run "atlas cluster show paris --namespace obs --context one", or "atlas status --namespace obs --context one"',
    )
    expect(complete('"atlas init --namespace x --groups a"')).to.equal('"atlas init --namespace x --groups a --context one"')
    for (const text of ['the name "atlas" is taken', 'atlas status', '"atlas demo"', '"atlas-fleet"', 'see "atlas statuses"'])
      expect(complete(text)).to.equal(text)
    const again = complete(complete('"atlas rotate --status"'))
    expect(again).to.equal('"atlas rotate --status --namespace obs --context one"')
  })
})
