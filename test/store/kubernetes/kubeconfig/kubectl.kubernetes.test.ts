/** The rules of client-go for finding a cluster, as a table: each row is asked with kubectl and with Atlas, and servers must get the same. */
import {expect} from 'chai'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {type Asked, askAtlas, askKubectl, writeRow} from './ask.js'
import {clusterRows} from './rows/cluster.js'
import {execRows} from './rows/exec.js'
import {fileRows} from './rows/files.js'
import {proxyRows} from './rows/proxy.js'
import {type Given, type Row, SECRET} from './rows/row.js'
import {textRows} from './rows/text.js'
import {userRows} from './rows/user.js'
import {type Servers, startServers} from './servers.js'

const tables: Readonly<Record<string, readonly Row[]>> = {
  'which files count': fileRows,
  'what a file may hold': textRows,
  'the server': clusterRows,
  'the user': userRows,
  'programs that give credentials': execRows,
  proxies: proxyRows,
}

/** So many kubectls run at once. */
const PARALLEL = 4

describe('Atlas finds its cluster as kubectl does', () => {
  let servers: Servers
  let folder: string
  const asked = new Map<Row, {readonly folder: string; readonly given: Given; readonly kubectl: Asked}>()

  before('kubectl asks', async () => {
    servers = await startServers()
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-kubeconfig-'))
    const rows = [...Object.values(tables).flat().entries()]
    const ask = async (): Promise<void> => {
      for (let next = rows.shift(); next !== undefined; next = rows.shift()) {
        const [index, row] = next
        const own = path.join(folder, `row-${index}-`)
        const given = row.given(servers)
        await writeRow(own, given)
        asked.set(row, {folder: own, given, kubectl: await askKubectl(own, given, servers)})
      }
    }
    await Promise.all(Array.from({length: PARALLEL}, ask))
  })
  after(async () => {
    await servers.close()
    await rm(folder, {recursive: true})
  })

  for (const [name, rows] of Object.entries(tables))
    describe(name, () => {
      for (const row of rows) it(`${row.title}: ${row.outcome}`, async () => compare(row))
    })

  async function compare(row: Row): Promise<void> {
    const {folder: own, given, kubectl} = asked.get(row) ?? expect.fail('kubectl has not asked')
    expect(kubectl.isAnswered, `kubectl: ${kubectl.output}`).to.equal(row.outcome === 'reaches')
    const atlas = await askAtlas(own, given, servers)
    expect(atlas.sent, atlas.output).to.deep.equal(kubectl.sent)
    expect(atlas.isAnswered, atlas.output).to.equal(kubectl.isAnswered)
    expect(atlas.notes).to.deep.equal(kubectl.notes)
    expect(atlas.output).not.to.include(SECRET)
    if (row.outcome === 'fails')
      expect([atlas.error?.code, typeof atlas.error?.hint], atlas.output).to.deep.equal(['unreachable', 'string'])
  }
})
