/** The next step of a finding: what this user may do. */
import {expect} from 'chai'
import {findingsJson, unreadableKeysIn} from '../../../src/lib/cli/text/findings.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {Finding} from '../../../src/lib/ops/finding.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const findings: readonly Finding[] = [
  {kind: 'credential', cluster: paris, proxy: 'paris-0', message: 'paris paris-0 still uses an old credential'},
  {kind: 'credential', cluster: lyon, proxy: 'lyon-0', message: 'lyon lyon-0 still uses an old credential'},
  {kind: 'not connected', cluster: lyon, message: 'no Envoy of lyon is connected'},
]
const flags = {namespace: undefined, kubeconfig: undefined, context: undefined, store: undefined}
const apply = (name: string): string => `atlas cluster values ${name} --format secret | kubectl --context ${name} apply --server-side -f -`

describe('cli/text/findings', () => {
  it('a user who may not read the Secret of a cluster is told who can run the command; only such Secrets are asked about', async () => {
    const asked: string[] = []
    const mayRead = async (object: string): Promise<boolean> => {
      asked.push(object)
      return object.includes('lyon')
    }
    const unreadableKeys = await unreadableKeysIn(findings, {mayRead})
    expect(asked).to.deep.equal(['Secret/paris-envoy-ads', 'Secret/lyon-envoy-ads'])
    const [first, second] = findingsJson(findings, {flags, namespace: 'atlas', version: '1.0.0', unreadableKeys})
    expect(first?.next).to.equal(`ask a user who may read Secret paris-envoy-ads to run: ${apply('paris')}`)
    expect(second?.next).to.equal(apply('lyon'))
  })

  it('a cluster without an Envoy that has its present credential gets both the command that applies it and the log', () => {
    const finding: Finding = {kind: 'credential', cluster: paris, message: 'no Envoy of paris is connected with its present credential'}
    const nextIn = (namespace: string | undefined, unreadable: readonly (typeof paris)[] = []): string | undefined =>
      findingsJson([finding], {flags, namespace, version: '1.0.0', unreadableKeys: new Set(unreadable)})[0]?.next
    const orLog = 'otherwise: kubectl --context paris --namespace atlas logs deployment/atlas-envoy --tail 20'
    expect(nextIn('atlas')).to.equal(`if that credential was not applied yet: ${apply('paris')}; ${orLog}`)
    expect(nextIn('atlas', [paris])).to.equal(
      `if that credential was not applied yet: ask a user who may read Secret paris-envoy-ads to run: ${apply('paris')}; ${orLog}`,
    )
    expect(nextIn(undefined)).to.equal(
      'if that credential was not applied yet: atlas cluster values paris --format bootstrap --output DIR; otherwise see the log of the Envoy',
    )
  })

  it('where the API server does not say, the command is printed as it is', async () => {
    const unreadableKeys = await unreadableKeysIn(findings, {mayRead: async () => Promise.reject(new Error('no answer'))})
    expect([...unreadableKeys]).to.deep.equal([])
  })
})
