/** Nodes whose streams have ended lately, as a server remembers them. */
import {expect} from 'chai'
import {parseClusterName} from '../../../src/lib/model/names.js'
import type {ReplicaReport} from '../../../src/lib/model/report.js'
import {openAbsentNodes} from '../../../src/server/proxies/absent-nodes.js'

const [paris, lyon] = [parseClusterName('paris'), parseClusterName('lyon')]
const begin = new Date('2026-11-30T00:00:00Z')
const later = (seconds: number): Date => new Date(begin.getTime() + seconds * 1000)

describe('absent nodes', () => {
  it('count for an hour, and not when they are back', () => {
    const absent = openAbsentNodes()
    absent.left({cluster: paris, id: 'a'}, begin)
    absent.left({cluster: paris, id: 'b'}, later(60))
    expect(absent.entries(later(61)).map(({id}) => id)).to.deep.equal(['a', 'b'])
    absent.returned({cluster: paris, id: 'b'})
    expect(absent.entries(later(61))).to.deep.equal([{cluster: paris, id: 'a', since: begin.toISOString()}])
    expect(absent.entries(later(3600))).to.deep.equal([])
  })

  it('are bounded for each cluster: made-up names push out none of another', () => {
    const absent = openAbsentNodes()
    absent.left({cluster: lyon, id: 'lyon-0'}, begin)
    for (let made = 0; made < 1000; made += 1) absent.left({cluster: paris, id: `made-up-${made}`}, begin)
    expect(absent.entries(begin)).to.have.length(9)
    absent.drop(cluster => cluster === paris)
    expect(absent.entries(begin).map(({id}) => id)).to.deep.equal(['lyon-0'])
  })

  it('are recalled from the last report of an earlier process, with all that were connected to it', () => {
    const absent = openAbsentNodes()
    const report = {proxies: [{cluster: paris, id: 'paris-0'}], absent: [{cluster: lyon, id: 'lyon-0', since: begin.toISOString()}]}
    absent.recall({report} as unknown as ReplicaReport, later(60))
    expect(absent.entries(later(60)).map(({id, since}) => [id, since])).to.deep.equal([
      ['lyon-0', begin.toISOString()],
      ['paris-0', later(60).toISOString()],
    ])
  })
})
