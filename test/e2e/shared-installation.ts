/** An installation that several files of a run share: started by the first test that uses it, stopped after the last. Each leaves it as it was. */
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'
import {type Installation, openInstallation} from './installation.js'
import {untilReachable, untilSynced} from './look.js'

/** Clusters `paris` and `lyon`, addresses for more, three replicas that serve Envoys, two that stand for election. */
export async function sharedInstallation(): Promise<Installation> {
  shared ??= open()
  return shared
}

/** Shorter than the defaults: the election, the time between reports, the time until a replica counts as dead. */
const times = {
  report: '300ms',
  ...{lease: '5s', renew: '3500ms', 'lease-renew': '500ms', 'lease-retry': '500ms'},
  ...{replica: '4s', 'replica-renew': '1200ms', 'replica-look': '800ms'},
}

async function open(): Promise<Installation> {
  const kubernetes = await sharedKubernetes()
  const installation = await openInstallation({kubernetes, clusters: ['paris', 'lyon'], spare: 16, ads: 3, controllers: 2, times})
  await untilReachable(installation)
  await untilSynced(installation)
  return installation
}

let shared: Promise<Installation> | undefined

// Outside of every describe: a hook of the whole run.
after('the shared installation ends', async () => {
  const installation = await shared?.catch(() => undefined)
  await installation?.close()
})
