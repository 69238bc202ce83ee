/** Connections that began with a former identity: when they are renewed, and how often where the Envoy does not take up the new one. */
import {mock} from 'node:test'
import {expect} from 'chai'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {OBSERVABILITY} from '../../../src/lib/model/names.js'
import {readKey} from '../../../src/lib/pki/read.js'
import type {Peer} from '../../../src/server/mtls/denial.js'
import {openRenewedConnections} from '../../../src/server/mtls/renewed-connections.js'
import {testDependencies, testFleet} from '../../helpers/dependencies.js'

describe('connections of the observability Envoy', () => {
  const fleet: Fleet = testFleet(testDependencies())
  const present = readKey(fleet.identities.get(OBSERVABILITY)!).sha256
  const peer = (sha256: string): Peer => ({...{uris: [], sha256, notBefore: new Date(0), notAfter: new Date(0)}, isSignedBy: () => false})
  let now = 0
  beforeEach(() => {
    now = 0
    mock.timers.enable({apis: ['setInterval']})
    mock.method(performance, 'now', () => now)
  })
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  function pass(milliseconds: number): void {
    for (let passed = 0; passed < milliseconds; passed += 1000) {
      now += 1000
      mock.timers.tick(1000)
    }
  }

  it('are renewed within seconds where they began with a former identity, and no others', () => {
    const renewed: string[] = []
    const connections = openRenewedConnections(() => fleet)
    connections.add(peer('former'), () => renewed.push('former'))
    connections.add(peer(present), () => renewed.push('present'))
    connections.add(peer('closed'), () => renewed.push('closed'))()
    pass(60_000)
    connections.close()
    expect(renewed).to.deep.equal(['former'])
  })

  it('are renewed ever more rarely while the Envoy goes on connecting with its former identity', () => {
    let times = 0
    const connections = openRenewedConnections(() => fleet)
    const connect = (): void => {
      connections.add(peer('former'), () => {
        times += 1
        connect()
      })
    }
    connect()
    pass(60_000)
    expect(times).to.be.within(3, 6)
    pass(3_600_000)
    connections.close()
    expect(times).to.be.within(10, 18)
  })
})
