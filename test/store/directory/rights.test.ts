import {chmod, chown, stat} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {renderShown, shownCluster} from '../../../src/lib/cli/text/cluster.js'
import {errorReport} from '../../../src/lib/cli/text/error.js'
import type {Change} from '../../../src/lib/model/change.js'
import type {Fleet} from '../../../src/lib/model/fleet.js'
import {parseClusterName} from '../../../src/lib/model/names.js'
import {showCluster} from '../../../src/lib/ops/cluster/show.js'
import {hasServer} from '../../../src/lib/ops/server-reports.js'
import {testCluster} from '../../helpers/fleet.js'
import {rejectedBy} from '../../helpers/thrown.js'
import {folderOf} from './folder.js'
import {serverAt, unmoved} from '../../helpers/server.js'

const NOBODY = 65_534
const paris = parseClusterName('paris')

/** Root may read and write everything, so these cases run as another user. */
async function withoutRoot<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work()
  process.seteuid?.(NOBODY)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
  }
}

describe('store/directory: without the right to', () => {
  const folder = folderOf()
  const load = async (): Promise<Fleet> => withoutRoot(async () => folder.open().load())

  beforeEach(async () => {
    await chmod(path.dirname(folder.directory), 0o755)
    await chmod(folder.directory, 0o755)
    for (const name of await folder.names()) await chmod(folder.file(name), 0o644)
  })

  /** With the directory's mode changed, for the time of `work`. */
  async function inMode<T>(mode: number, work: () => Promise<T>): Promise<T> {
    await chmod(folder.directory, mode)
    return work().finally(async () => chmod(folder.directory, 0o755))
  }

  it('read a file: a fault of its object, other than for one that is gone', async () => {
    await chmod(folder.file('service-paris.yaml'), 0)
    const found = await load()
    expect(found.faults.get('registration/paris')?.message).to.contain('EACCES')
    expect(found.faults.size).to.equal(1)
  })

  it('list the directory, or to look into it: an error, not an empty fleet', async () => {
    for (const mode of [0o000, 0o444, 0o111]) {
      const error = await inMode(mode, async () => rejectedBy(load()))
      expect(error.code, mode.toString(8)).to.equal('unreachable')
    }
  })

  it('read the lock of the server: an error that names it, not that no server runs', async () => {
    const hold = await folder.store.hold(serverAt('x'), unmoved)
    try {
      await chmod(folder.file('.serve.lock'), 0o600)
      const store = await withoutRoot(async () => folder.open())
      const lockOf = async () => withoutRoot(async () => store.holder())
      if (process.geteuid?.() !== 0) await chmod(folder.file('.serve.lock'), 0)
      const error = await rejectedBy(lockOf())
      expect(error.message)
        .to.contain(`cannot read ${folder.file('.serve.lock')}`)
        .and.to.contain('EACCES')
      expect(error.hint).to.contain('this user lacks the right')
      expect(errorReport(error).code).to.equal('failed')
      expect(await withoutRoot(async () => hasServer(store))).to.equal(true)
      await chmod(folder.file('.serve.lock'), 0o644)
      expect(await lockOf()).to.not.equal(undefined)
    } finally {
      await hold.release()
    }

    expect(await hasServer(folder.store)).to.equal(false)
  })

  it('read the certificates of a cluster: what is shown says so, and not that there are none', async () => {
    const secrets = (await folder.names()).filter(name => name.startsWith('secret-'))
    for (const name of secrets) await chmod(folder.file(name), 0)
    const view = await withoutRoot(async () => showCluster(folder.open(), 'paris'))
    const shown = shownCluster(view)
    expect(shown.unreadable?.credential).to.equal("secret-paris-envoy-ads.yaml, the whole object: it can't be read: EACCES")
    expect(shown.unreadable?.identity).to.contain('secret-atlas-identities-').and.to.contain('EACCES')
    const text = renderShown(shown, view)
    expect(text)
      .to.match(/identity +could not be read: /)
      .and.to.match(/ADS credential +could not be read: /)
    expect(text).to.not.contain('none')
  })

  it('be its owner: what root writes into the directory of another user belongs to that user, who can read it', async function () {
    if (process.geteuid?.() !== 0) return
    await chown(folder.directory, NOBODY, NOBODY)
    for (const name of await folder.names()) await chown(folder.file(name), NOBODY, NOBODY)
    const base = await folder.store.load()
    await folder.store.commit(base, [{kind: 'registration', name: paris, value: testCluster('paris', {replicas: 2})}])
    const hold = await folder.store.hold(serverAt('x'), unmoved)
    try {
      const owners = await Promise.all((await folder.names()).map(async name => (await stat(folder.file(name))).uid))
      expect(new Set(owners)).to.deep.equal(new Set([NOBODY]))
      expect((await load()).registrations.get(paris)?.replicas).to.equal(2)
    } finally {
      await hold.release()
    }
  })

  it('write: an error, and nothing is left of the attempt', async () => {
    const names = await folder.names()
    const base = await load()
    const change: Change = {kind: 'registration', name: paris, value: testCluster('paris', {replicas: 2})}
    for (const attempt of [async () => folder.store.commit(base, [change]), async () => folder.store.hold(serverAt('x'), unmoved)]) {
      const error = await inMode(0o555, async () => rejectedBy(withoutRoot<unknown>(attempt)))
      expect(error.code).to.equal('unreachable')
      expect(error.message).to.contain(folder.directory)
    }

    expect(await folder.names()).to.deep.equal(names)
    expect((await stat(folder.file('service-paris.yaml'))).size).to.be.greaterThan(0)
  })
})
