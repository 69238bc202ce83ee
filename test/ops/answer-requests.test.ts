import {expect} from 'chai'
import {type Change, reduceAll} from '../../src/lib/model/change.js'
import {OBSERVABILITY, parseClusterName} from '../../src/lib/model/names.js'
import type {Answer, Request, RequestTimes} from '../../src/lib/model/request.js'
import {planAnswers} from '../../src/lib/ops/answer-requests.js'
import {wantedTrust} from '../../src/lib/ops/trust.js'
import {issuerSpec} from '../../src/lib/pki/certificate-specs.js'
import {issue} from '../../src/lib/pki/issue.js'
import {testFleet, testDependencies, testSettings} from '../helpers/dependencies.js'

const [paris, lyon, ghost] = [parseClusterName('paris'), parseClusterName('lyon'), parseClusterName('ghost')]
const HOUR = 3600

function answersTo(...requests: readonly Partial<Request>[]): {changes: readonly Change[]; answers: readonly Answer[]} {
  const dependencies = testDependencies()
  const fleet = testFleet(dependencies, ['paris', 'lyon'])
  const asked = requests.map((request, index): Change => ({
    kind: 'request',
    id: `r${index}`,
    value: {kind: 'rotate', owners: [], requestedAt: dependencies.now().toISOString(), state: 'waiting', ...request},
  }))
  const changes = [...planAnswers(reduceAll(fleet, asked), dependencies)].flat()
  return {changes, answers: changes.flatMap(change => (change.kind === 'answer' && change.value !== undefined ? [change.value] : []))}
}

describe('ops/answer-requests', () => {
  it('rotates every owner and the server, a few at a time, and answers last', () => {
    const {changes, answers} = answersTo({})
    expect(changes.map(({kind}) => kind)).to.deep.equal(['identity', 'identity', 'identity', 'server', 'answer', 'request'])
    expect(answers).to.have.length(1)
    expect(answers[0]).to.include({state: 'done', message: 'rotate all'})
  })

  it('issues no identity below an issuer that a person has put in its place before the trust bundle has it', () => {
    const dependencies = testDependencies()
    const fleet = testFleet(dependencies, ['paris'])
    const value = issue(issuerSpec(testSettings), fleet.authority.get('root'), dependencies.now(), dependencies.signer)
    const requestedAt = dependencies.now().toISOString()
    const asked = reduceAll(fleet, [
      {kind: 'authority', part: 'issuer', value},
      {kind: 'request', id: 'r0', value: {kind: 'rotate', owners: [], requestedAt, state: 'waiting'}},
    ])
    expect([...planAnswers(asked, dependencies)].flat()).to.deep.equal([])
    const trusted = reduceAll(asked, [{kind: 'trust', value: wantedTrust(asked)}])
    expect([...planAnswers(trusted, dependencies)].flat().map(({kind}) => kind)).to.include.members(['identity', 'server', 'answer'])
  })

  it('rotates the owners that are named, each once', () => {
    const {changes} = answersTo({owners: [paris, paris]})
    expect(changes.filter(({kind}) => kind === 'identity')).to.have.length(1)
  })

  it('signs nothing for a cluster that is not registered', () => {
    const {changes, answers} = answersTo({owners: [paris, ghost]})
    expect(changes.map(({kind}) => kind)).to.deep.equal(['answer', 'request'])
    expect(answers[0]).to.include({state: 'failed'})
    expect(answers[0]?.message).to.contain('ghost')
  })

  it('begins no rotation that skips the observability cluster, or one that is not registered, where a request asks for it', () => {
    for (const skipped of [OBSERVABILITY, ghost] as const) {
      const {changes, answers} = answersTo({kind: 'rotate-issuer', skip: [lyon, skipped]})
      expect(changes.map(({kind}) => kind)).to.deep.equal(['answer', 'request'])
      expect(answers[0]).to.include({state: 'failed'})
    }
  })

  it('removes a cluster, which later requests see', () => {
    const {changes, answers} = answersTo({kind: 'remove', owners: [lyon]}, {kind: 'rotate', owners: [lyon]})
    expect(changes[0]).to.include({kind: 'record', owner: lyon})
    expect(answers.map(({state}) => state)).to.deep.equal(['done', 'failed'])
  })

  it('a request to remove a cluster that was removed is answered as done: an earlier leader ended before it could answer', () => {
    const {answers} = answersTo({kind: 'remove', owners: [lyon]}, {kind: 'remove', owners: [lyon]})
    expect(answers.map(({state}) => state)).to.deep.equal(['done', 'done'])
  })

  it('refuses to remove the observability cluster, all clusters, and a cluster that never was, and removes nothing', () => {
    for (const [owners, message] of [
      [['atlas'], 'the observability cluster can not be removed'],
      [[], 'a request to remove names no cluster; nothing is removed'],
      [[ghost], 'there is no cluster "ghost"'],
      [[paris, ghost], 'there is no cluster "ghost"'],
    ] as const) {
      const {changes, answers} = answersTo({kind: 'remove', owners})
      expect(changes.map(({kind}) => kind)).to.deep.equal(['answer', 'request'])
      expect(answers[0]).to.include({state: 'failed', message})
    }
  })

  it('revokes a cluster and restores it, and does each once where a request is repeated', () => {
    const revoke = {kind: 'revoke', owners: [paris], generation: 1} as const
    const {changes, answers} = answersTo(revoke, {...revoke, reissue: true}, {kind: 'restore', owners: [paris]}, revoke)
    expect(answers.map(({state, message}) => [state, message])).to.deep.equal([
      ['done', 'revoke paris'],
      ['done', 'revoke paris and issue again'],
      ['done', 'restore paris'],
      ['done', 'revoke paris'],
    ])
    expect(answers[1]).to.include({generation: 1, reissue: true})
    expect(changes.flatMap(change => (change.kind === 'record' ? [change.value?.revokedSince] : []))).to.deep.equal([
      '2026-11-23T00:00:00.000Z',
      undefined,
      undefined,
    ])
    const written = changes.flatMap(change =>
      change.kind === 'credential' || change.kind === 'answer' ? [[change.kind, change.value !== undefined]] : [],
    )
    expect(written, 'the answer comes after the credential').to.deep.equal([
      ['credential', false],
      ['answer', true],
      ['answer', true],
      ['credential', true],
      ['answer', true],
      ['answer', true],
    ])
  })

  it('signs nothing for a revoked cluster', () => {
    const {answers} = answersTo({kind: 'revoke', owners: [paris]}, {kind: 'rotate', owners: [paris]}, {})
    expect(answers.map(({state}) => state)).to.deep.equal(['done', 'failed', 'done'])
    expect(answers[1]?.message).to.match(/^cluster paris is revoked since/)
  })

  it('revokes one credential that is on record, and refuses the newest one without reissue', () => {
    const [credential] =
      testFleet(testDependencies(), ['paris', 'lyon'])
        .records.get(paris)
        ?.credentials.map(({sha256}) => sha256) ?? []
    const of = (sha256 = '') => ({kind: 'revoke', owners: [paris], credential: sha256}) as const
    expect(answersTo(of(credential)).answers[0]).to.include({state: 'failed'})
    expect(answersTo(of('0'.repeat(64))).answers[0]).to.include({state: 'failed'})
    const {changes, answers} = answersTo({...of(credential), reissue: true})
    expect(answers[0]?.state).to.equal('done')
    expect(changes[0]).to.deep.include({kind: 'record', owner: paris})
  })

  it('revokes no cluster that is not there, not all, and not the observability cluster', () => {
    for (const owners of [[], [ghost], ['atlas'], [paris, ghost]] as const)
      for (const kind of ['revoke', 'restore'] as const) {
        const {changes, answers} = answersTo({kind, owners})
        expect(changes.map(change => change.kind)).to.deep.equal(['answer', 'request'])
        expect(answers[0]).to.include({state: 'failed'})
      }
  })

  it('removes old answers by the leader’s clock, and requests whose sender has given up', () => {
    const at = (seconds: number): string => new Date(testDependencies().now().getTime() + seconds * 1000).toISOString()
    const dropped = (request: Partial<Request>): boolean =>
      answersTo(request).changes.some(change => change.kind === 'request' && change.value === undefined)
    expect(dropped({state: 'done', answeredAt: at(-HOUR - 1)})).to.equal(true)
    expect(dropped({state: 'done', answeredAt: at(-60)})).to.equal(false)
    expect(dropped({state: 'done', answeredAt: at(HOUR)})).to.equal(true)
    expect(dropped({state: 'done', requestedAt: at(-2 * HOUR)})).to.equal(true)
    expect(dropped({state: 'waiting', requestedAt: at(-25 * HOUR)})).to.equal(true)
  })

  it('keeps answers and waiting requests for as long as it is told', () => {
    const dependencies = testDependencies()
    const ago = new Date(dependencies.now().getTime() - 2000).toISOString()
    const fleet = reduceAll(testFleet(dependencies, []), [
      {kind: 'request', id: 'old', value: {kind: 'rotate', owners: [], requestedAt: ago, state: 'waiting'}},
      {kind: 'answer', id: 'gone', value: {kind: 'rotate', owners: [], state: 'done', answeredAt: ago}},
    ])
    const dropped = (times: RequestTimes): readonly string[] =>
      [...planAnswers(fleet, dependencies, times)]
        .flat()
        .flatMap(change => ('id' in change && change.value === undefined ? [change.id] : []))
    expect(dropped({answerKeptMs: 1000, requestKeptMs: 1000})).to.deep.equal(['old', 'gone'])
    expect(dropped({answerKeptMs: 3000, requestKeptMs: 3000})).to.deep.equal([])
  })

  it('marks a request that an earlier leader has answered, and does not do it again', () => {
    const dependencies = testDependencies()
    const at = dependencies.now().toISOString()
    const fleet = reduceAll(testFleet(dependencies, ['paris']), [
      {kind: 'request', id: 'r', value: {kind: 'remove', owners: [paris], requestedAt: at, state: 'waiting'}},
      {kind: 'answer', id: 'r', value: {kind: 'remove', owners: [paris], answeredAt: at, state: 'failed', message: 'no'}},
    ])
    const changes = [...planAnswers(fleet, dependencies)].flat()
    expect(changes).to.have.length(1)
    expect(changes[0]).to.nested.include({kind: 'request', 'value.state': 'failed', 'value.message': 'no'})
  })

  it('drops an answer whose request is gone, an hour after it was given', () => {
    const dependencies = testDependencies()
    const answer: Answer = {kind: 'rotate', owners: [], answeredAt: dependencies.now().toISOString(), state: 'done'}
    const fleet = reduceAll(testFleet(dependencies, []), [{kind: 'answer', id: 'r', value: answer}])
    expect([...planAnswers(fleet, dependencies)].flat()).to.deep.equal([])
    dependencies.pass(HOUR + 1)
    expect([...planAnswers(fleet, dependencies)].flat()).to.deep.equal([{kind: 'answer', id: 'r', value: undefined}])
  })
})
