/** A queue that runs its jobs in short turns. */
import {expect} from 'chai'
import {openTurns} from '../../../src/server/ads/turns.js'

const turn = async (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('turns', () => {
  it('keep the order of jobs, and let other work run in between', async () => {
    const turns = openTurns()
    const done: number[] = []
    for (let job = 0; job < 30; job += 1)
      turns.add(() => {
        const until = performance.now() + 1
        while (performance.now() < until);
        done.push(job)
      })
    expect(done).to.deep.equal([])
    await turn()
    await turn()
    expect(done.length).to.be.within(1, 15)
    while (done.length < 30) await turn()
    expect(done).to.deep.equal([...done].sort((a, b) => a - b))
  })

  it('run a job that another job adds', async () => {
    const turns = openTurns()
    const done: string[] = []
    turns.add(() => {
      done.push('first')
      turns.add(() => done.push('second'))
    })
    while (done.length < 2) await turn()
    expect(done).to.deep.equal(['first', 'second'])
  })
})
