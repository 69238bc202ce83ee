/** What `init` prints: what it wrote, what it adopted from the 2021 program, how to start Thanos Query, and the next command. */
import {ENDPOINTS_KEY} from '../../manifest/endpoints.js'
import {encodeSettings} from '../../manifest/settings.js'
import {renderAddresses, renderHostPort} from '../../model/address.js'
import {renderTime} from '../../model/duration.js'
import {dialledAddresses} from '../../model/fleet.js'
import {OBSERVABILITY, objectNames} from '../../model/names.js'
import {type Settings, adsServersOf} from '../../model/settings.js'
import type {Adoption} from '../../ops/goatlas/adopt.js'
import type {InitResult} from '../../ops/init.js'
import type {StateStore} from '../../store/store.js'
import {type StoreFlags, sameStore} from '../flags/store.js'
import {renderFollowing} from './changed-settings.js'
import {described, renderChanges, renderDifference} from './render.js'

/** Where all examples of Atlas mount the ConfigMap. */
const FOLDER = '/etc/thanos/atlas'

/** What was written, adopted and set, or for a dry run what would be; then the next command. */
export function renderInit(result: InitResult, store: StateStore, flags: StoreFlags & {readonly 'dry-run': boolean}): string {
  const {adopted, before, changed, changes, created, settings} = result
  const dryRun = flags['dry-run']
  const where = created || adopted !== undefined ? 'Atlas is set up in' : 'Changed in'
  const done =
    changes.length === 0
      ? `Atlas is already set up in ${store.description}; nothing changed.`
      : `${where} ${store.description}:\n${[renderChanges(changes), ...store.otherFiles().map(line => `  ${line}`)].join('\n')}`
  return [
    ...(dryRun ? [renderPlan(result, store)] : [done]),
    ...(adopted === undefined ? [] : [renderAdoption(adopted, {dryRun})]),
    ...(changed.length === 0
      ? []
      : [
          `${dryRun ? 'Settings would be changed' : 'Changed settings'}:\n${renderDifference(before.settings === undefined ? {} : encodeSettings(before.settings), encodeSettings(settings))}`,
        ]),
    ...(isChange(result) ? renderAfterChange(result, store, flags) : renderFirstSteps(result, store, flags)),
    ...(dryRun ? [`\nNothing is written to ${store.description}.`] : []),
  ].join('\n')
}

/** What a dry run would write. */
function renderPlan({adopted, changes, created}: InitResult, store: StateStore): string {
  if (changes.length === 0) return `Atlas is already set up in ${store.description}; nothing would be changed.`
  return `${created || adopted !== undefined ? 'Atlas would be set up in' : 'Would be changed in'} ${store.description}:\n${renderChanges(changes)}`
}

/** Whether an installation was there, and settings of it were changed. */
function isChange({adopted, changed, created}: InitResult): boolean {
  return !created && adopted === undefined && changed.length > 0
}

/** What an installation needs that nothing is connected to yet; also where nothing was changed, to be read again. */
function renderFirstSteps(result: InitResult, store: StateStore, flags: StoreFlags & {readonly 'dry-run': boolean}): readonly string[] {
  const {settings} = result
  return [
    ...(flags['dry-run'] ? [] : [`\n${renderThanosQuery(store, settings, flags)}`]),
    ...(flags.store === undefined || settings.adsServers.length > 0 ? [] : [`\n${renderAssumedServer(settings)}`]),
    ...(flags['dry-run'] ? [] : [`\n${renderNext(result, flags)}`]),
  ]
}

function renderAfterChange(result: InitResult, store: StateStore, flags: StoreFlags & {readonly 'dry-run': boolean}): readonly string[] {
  const {before, after, changed, settings} = result
  const isThanosMoved =
    changed.includes('thanosNamespace') || before.settings?.internalTls.includes(10_901) !== settings.internalTls.includes(10_901)
  const isFirstAddress = dialledAddresses(before).length === 0 && dialledAddresses(after).length > 0
  return [
    `\n${renderFollowing(result, flags)}`,
    ...(isThanosMoved ? [`\n${renderThanosQuery(store, settings, flags)}`] : []),
    // Only now a cluster can join.
    ...(flags['dry-run'] ? [] : [`\n${isFirstAddress ? renderNext(result, flags) : `Next: atlas status${sameStore(flags)}`}`]),
  ]
}

export type InitJson = ReturnType<typeof initJson>

/** What `init --json` prints. */
export function initJson({created, changed, changes, settings, adopted}: InitResult, store: StateStore) {
  return {
    created,
    changed,
    changes: [...described(changes), ...store.otherFiles()],
    trustDomain: settings.trustDomain,
    addresses: settings.addresses.map(address => address.host),
    ...(adopted !== undefined && {adopted}),
  }
}

/** The next command, and before it where downstream Envoys connect, as far as that is known. */
function renderNext({after, settings}: InitResult, flags: StoreFlags): string {
  const addresses = dialledAddresses(after)
  if (addresses.length > 0)
    return `Downstream Envoys connect to ${renderAddresses(addresses)}, port ${settings.adsPort}.

${
  flags.store === undefined
    ? 'Next: '
    : `Next, in this order:
  atlas serve${sameStore(flags)}, which goes on running
  atlas cluster values ${OBSERVABILITY}${sameStore(flags)} --format bootstrap --output ./envoy-${OBSERVABILITY}, for the observability Envoy
  `
}atlas cluster add NAME${sameStore(flags)} --address HOST, where HOST is the address of that cluster's Envoy`
  const set = `atlas init${sameStore(flags)} --address HOST, where HOST is the address at which other clusters reach the observability Envoy`
  if (flags.store !== undefined) return `Next: ${set}`
  return `Downstream Envoys connect to the load balancer of chart atlas, as soon as it has an address. Without a load balancer, first run
  ${set}

Next: atlas cluster add NAME${sameStore(flags)}`
}

/** A directory is used without Kubernetes first of all, where the assumed name leads nowhere. */
function renderAssumedServer(settings: Settings): string {
  const assumed = adsServersOf(settings).map(server => renderHostPort(server))
  return `Assumed: the observability Envoy connects to the server at ${assumed.join(', ')}, a name inside Kubernetes.
Without Kubernetes, run "atlas init --ads-server HOST:PORT", where HOST:PORT is 127.0.0.1:6305 if both run on one machine.`
}

function renderAdoption({root, clusters, assumed, unread}: Adoption, {dryRun}: {readonly dryRun: boolean}): string {
  const count = clusters.length === 1 ? 'one cluster' : `${clusters.length} clusters`
  return [
    dryRun ? 'Would be adopted from the 2021 program:' : 'Adopted from the 2021 program:',
    `  its root certificate (${root.subject}), re-issued with the same key; the old certificate stays trusted, and both end on ${renderTime(root.notAfter)}`,
    `  ${count}${clusters.length === 0 ? '' : `: ${clusters.join(', ')}`}; their Services stay as they are`,
    ...assumed.map(
      name =>
        `  ${name} has several replicas without addresses of their own; before you move it, run "atlas cluster add ${name} --stack kube-prometheus-stack=RELEASE"`,
    ),
    ...unread.map(({object, message}) => `  ${object} cannot be read, so its cluster stays with the old program: ${message}`),
    'How to move each cluster, and how to go back: docs/how-to/migrate-from-goatlas.md',
  ].join('\n')
}

/** How to start Thanos Query so that it finds every cluster: flags and, in Kubernetes, the mount, to be copied as they are. */
function renderThanosQuery({namespace}: StateStore, settings: Settings, flags: StoreFlags): string {
  const flagsFor = (file: string): string => `  --endpoint.sd-config-file=${file}\n  --endpoint.sd-config-reload-interval=30s`
  if (namespace === undefined)
    return `Thanos Query: "atlas serve${sameStore(flags)} --thanos-endpoints FILE" keeps its list of endpoints in FILE. Start it with\n${flagsFor('FILE')}`
  return `Thanos Query in namespace ${settings.thanosNamespace}: its list of endpoints is in ConfigMap ${objectNames.endpoints} there. Start it with
${flagsFor(`${FOLDER}/${ENDPOINTS_KEY}`)}
and mount the ConfigMap as a folder (Kubernetes never updates a subPath mount):
  volumes:
    - name: atlas
      configMap: {name: ${objectNames.endpoints}}
  volumeMounts: # of its container
    - {name: atlas, mountPath: ${FOLDER}, readOnly: true}${!settings.internalTls.includes(10_901) ? '' : '\nIts client certificate: docs/how-to/internal-tls.md.'}`
}
