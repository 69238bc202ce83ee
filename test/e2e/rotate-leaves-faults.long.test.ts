/**
 * All identities are replaced by one command in an installation on Kubernetes, with an API server that fails at each write of the leader, and with a
 * leader that is killed at each: each identity changes, none goes back, no request fails and no stream breaks. What signs: rotate-faults.long.
 */
import {expect} from 'chai'
import {certificatesOf, plainSerial} from '../../src/demo/lab/envoy-admin.js'
import {identityIn} from '../../src/demo/lab/certificates.js'
import type {Fleet} from '../../src/lib/model/fleet.js'
import {readKey} from '../../src/lib/pki/read.js'
import type {Fault} from '../helpers/kubernetes/fault.js'
import {type Recorder, record} from '../store/recorder.js'
import {type FaultyLeader, openFaultyLeader} from './leader-faults.js'
import {load} from './load.js'
import {until, untilReachable, untilSynced} from './look.js'
import {envoysOf} from './rotating.js'

/** Kinds of write that it has at least: the shards with identities, the certificate of the servers, the answer. */
const BOUNDARIES = 4
/** While a leader is killed and starts again the other one goes on. */
const KILLINGS = 2

/** Seconds; the life of a connection is ten minutes. */
const STREAM = 15

describe('e2e: all identities are replaced on Kubernetes', function () {
  this.timeout(300_000)
  let faulty: FaultyLeader

  before(async () => {
    faulty = await openFaultyLeader()
  })
  afterEach(() => {
    faulty.proxy.play()
  })
  after(async () => faulty.close())

  const serials = (fleet: Fleet): ReadonlyMap<string, string> =>
    new Map(envoysOf(faulty.network).map(({owner}) => [owner, readKey(identityIn(fleet, owner)).serial]))

  /** Replaces all identities once under load, while `act` plays faults at the leader's writes. @param act returns what waits for their end */
  async function once(act: (fleet: () => Fleet) => () => Promise<void>): Promise<void> {
    const {network} = faulty
    const former = await network.fleet()
    const recorder = await record(network.store)
    const running = load(network, undefined, {streamSeconds: STREAM, reconnects: true})
    try {
      const end = act(() => recorder.fleet)
      const {code, stderr} = await network.run(['rotate', '--yes', '--wait', '--timeout', '200s'], network.person)
      expect(code, stderr).to.equal(0)
      await end()
      await untilSynced(network)
    } finally {
      recorder.stop()
    }

    const present = await network.fleet()
    expectOnward(recorder, former)
    expect(present.server?.certificate).not.to.equal(former.server?.certificate)
    expect([...present.answers.values()].map(({state}) => state)).not.to.include('failed')
    for (const {owner, nodeId, admin} of envoysOf(network)) {
      const [before = '', after = ''] = [serials(former), serials(present)].map(of => of.get(owner))
      expect(after, owner).not.to.equal(before)
      const shown = async (): Promise<readonly string[]> => (await certificatesOf(admin)).map(({serial}) => serial)
      const isNew = async (): Promise<boolean> =>
        shown().then(all => all.includes(plainSerial(after)) && !all.includes(plainSerial(before)))
      await until(network, `${nodeId} to show its new identity alone`, isNew)
    }

    await untilReachable(network)
    await until(network, 'a stream to each cluster to end', () => running.streamsEnded() >= network.members.size, 2 * STREAM)
    expect(await running.stop()).to.be.greaterThan(100)
  }

  /** Whichever identity has followed another one, the former never came back. */
  function expectOnward({changes}: Recorder, former: Fleet): void {
    const written = [...serials(former)].map(([owner, serial]) => {
      const later = changes.flatMap(change =>
        change.kind === 'identity' && change.owner === owner && change.value !== undefined ? [readKey(change.value).serial] : [],
      )
      return {owner, all: [serial, ...later].filter((each, index, all) => each !== all[index - 1])}
    })
    for (const {owner, all} of written) {
      expect(all, owner).to.have.length.greaterThan(1)
      expect(new Set(all), owner).to.have.property('size', all.length)
    }
  }

  it('each write is first refused by the API server, and then done with its answer lost', async () => {
    await once(fleet => {
      const faults: readonly Fault[] = [
        {kind: 'answer', status: 500, body: {kind: 'Status', apiVersion: 'v1', status: 'Failure', message: 'etcd', code: 500}},
        {kind: 'cut', after: 'nothing'},
      ]
      const writes = faulty.atEachWrite(fleet, before => faults[before])
      return async () => {
        expect([...writes.keys()]).to.have.length.greaterThan(BOUNDARIES)
      }
    })
  })

  it('the leader is killed at each write, before and after it is done: another one goes on each time', async () => {
    await once(fleet => {
      const killings = faulty.killAtEachWrite(fleet)
      return async () => {
        const leaders = await killings.end()
        expect(leaders).to.have.length.greaterThan(KILLINGS)
        expect([...new Set(leaders)].sort()).to.deep.equal(['controller-0', 'controller-1'])
      }
    })
  })
})
