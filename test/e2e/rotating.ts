/** What a test of a rotation has beside the network: a pipeline that applies new ADS credentials, and a record of all that is written. */
import {expect} from 'chai'
import {setTimeout as sleep} from 'node:timers/promises'
import type {Change} from '../../src/lib/model/change.js'
import type {TrustBundle} from '../../src/lib/model/authority.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {type RotationPart, stagesOf} from '../../src/lib/model/rotation.js'
import type {StateStore} from '../../src/lib/store/store.js'
import {record} from '../store/recorder.js'
import type {TestEnvoy} from './envoy.js'
import type {Scene} from './scene.js'

/** For a rotation of the root in a test: a credential is used when a connection begins, seconds, and the stream ends a tenth later. */
const ADS_CONNECTION = 4

/** Settings and times with which a rotation of the root takes seconds. */
export const quickRotation = {
  settings: {timeouts: {adsConnection: ADS_CONNECTION}},
  times: {
    ...{report: '300ms', rotation: '200ms', 'clock-held': '1s', 'connection-age': `${ADS_CONNECTION}s`},
    ...{lease: '3s', renew: '2s', 'lease-renew': '500ms', 'lease-retry': '500ms'},
    ...{replica: '4s', 'replica-renew': '1200ms', 'replica-look': '800ms'},
    ...{retry: '100ms', 'retry-max': '1s', wait: '100ms', 'wait-max': '500ms'},
  },
}

export function envoysOf({observability, members}: Scene): readonly TestEnvoy[] {
  return [observability, ...[...members.values()].map(({envoy}) => envoy)]
}

export interface Pipeline {
  /** Resolves when it has ended. @returns how often it applied a credential, by owner @throws Error with its first failure */
  stop(): Promise<ReadonlyMap<string, number>>
}

/** Brings each new ADS credential, and the roots in it, to its Envoy, as External Secrets or a person does. */
export function startPipeline(scene: Scene): Pipeline {
  const [applied, counts] = [new Map<string, string>(), new Map<string, number>()]
  let isEnding = false
  const run = async (): Promise<void> => {
    for (let pass = 0; !isEnding; pass += 1) {
      const {credentials} = await scene.store.load()
      for (const envoy of envoysOf(scene)) {
        const credential = credentials.get(envoy.owner)
        if (credential === undefined) continue
        const text = credential.certificate + credential.roots
        if (pass > 0 && applied.get(envoy.owner) !== text) {
          await envoy.writeFiles()
          counts.set(envoy.owner, (counts.get(envoy.owner) ?? 0) + 1)
        }
        applied.set(envoy.owner, text)
      }
      await sleep(200)
    }
  }
  const running = run()
  running.catch(() => undefined)
  return {
    async stop() {
      isEnding = true
      await running
      return counts
    },
  }
}

/** Everything about a rotation that was written between its begin and its end. */
export interface RotationHistory {
  /** When rotations began, by their records. */
  readonly beginnings: readonly string[]
  /** The stages, in the order in which they were written. */
  readonly stages: readonly string[]
  /** Every certificate that was in the trust bundle at any time, by its kind. */
  readonly trusted: Readonly<Record<keyof TrustBundle, readonly string[]>>
}

export interface RotationRecorder {
  /** The fleet as it is now. */
  fleet(): Fleet
  history(): RotationHistory
  stop(): void
}

export async function recordRotation(store: StateStore): Promise<RotationRecorder> {
  const recorder = await record(store)
  const {rotation, trust} = recorder.fleet
  const first: readonly Change[] = [
    {kind: 'rotation', value: rotation},
    {kind: 'trust', value: trust},
  ]
  return {fleet: () => recorder.fleet, history: () => historyOf([...first, ...recorder.changes]), stop: recorder.stop}
}

function historyOf(changes: readonly Change[]): RotationHistory {
  const rotations = changes.flatMap(change => (change.kind === 'rotation' && change.value !== undefined ? [change.value] : []))
  const bundles = changes.flatMap(change => (change.kind === 'trust' && change.value !== undefined ? [change.value] : []))
  const stages = rotations.map(({stage}) => stage)
  const all = (field: keyof TrustBundle): readonly string[] => [...new Set(bundles.flatMap(bundle => bundle[field]))]
  return {
    beginnings: [...new Set(rotations.map(({startedAt}) => startedAt))],
    stages: stages.filter((stage, index) => stage !== stages[index - 1]),
    trusted: {roots: all('roots'), issuers: all('issuers'), credentialIssuers: all('credentialIssuers')},
  }
}

/** What a rotation replaces in the trust bundle; all else in it stays. */
const replacedBy: Readonly<Record<RotationPart, readonly (keyof TrustBundle)[]>> = {
  issuer: ['issuers'],
  root: ['roots', 'issuers', 'credentialIssuers'],
}

/** One rotation of `part` went through all its stages in their order, and trusted no certificates beside those of before and after. */
export function expectOneRotation({history, fleet}: RotationRecorder, part: RotationPart, former: Fleet): void {
  const {beginnings, stages, trusted} = history()
  expect(beginnings, 'one rotation').to.have.length(1)
  expect(stages).to.deep.equal(stagesOf(part))
  const [before, after] = [former.trust, fleet().trust]
  if (before === undefined || after === undefined) throw new Error('there is no trust bundle')
  for (const field of ['roots', 'issuers', 'credentialIssuers'] as const) {
    expect(after[field], field).to.have.length(1)
    if (replacedBy[part].includes(field)) expect(after[field], field).not.to.include(before[field][0])
    else expect(after[field], field).to.deep.equal(before[field])
    expect(trusted[field], `${field} at any time`).to.have.members([...new Set([...before[field], ...after[field]])])
  }
  expect(fleet().rotation).to.equal(undefined)
  expect([...fleet().authority.keys()].sort()).to.deep.equal(['credentialIssuer', 'issuer', 'root'])
}
