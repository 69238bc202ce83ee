/** A stream at its real length: silent for three minutes, through both Envoys. */
import {expect} from 'chai'
import {callOnce, openPlain} from '../../src/demo/lab/grpc.js'
import {streamCall} from './backend.js'
import {hostOf, queryAddress, untilReachable} from './look.js'
import {type Network, closeNetwork, openNetwork} from './network.js'

describe('e2e: a long stream', function () {
  this.timeout(300_000)
  let network: Network

  before(async () => {
    network = await openNetwork({clusters: ['paris']})
    await untilReachable(network)
  })
  after(() => closeNetwork(network))

  it('is silent for 180 s and ends normally', async () => {
    const {grpcStatus, messages} = await callOnce(openPlain(queryAddress(network)), streamCall(hostOf('paris'), 180))
    expect({grpcStatus, messages: messages.map(String)}).to.deep.equal({grpcStatus: 0, messages: ['begin', 'end']})
  })
})
