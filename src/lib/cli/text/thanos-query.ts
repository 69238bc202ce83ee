/** How Thanos Query is started so that it finds every cluster: flags, and in Kubernetes what to mount, to be pasted as it stands. */
import {ENDPOINTS_KEY} from '../../manifest/endpoints.js'
import {objectNames} from '../../model/names.js'
import type {Settings} from '../../model/settings.js'
import type {StateStore} from '../../store/store.js'
import {type StoreFlags, sameStore} from '../flags/store.js'

/** Where the ConfigMap is mounted, in every example of Atlas's. */
const FOLDER = '/etc/thanos/atlas'

/** Lines of text that can be copied as they stand. */
export function renderThanosQuery({namespace}: StateStore, settings: Settings, flags: StoreFlags): string {
  const flagsFor = (file: string): string => `  --endpoint.sd-config-file=${file}\n  --endpoint.sd-config-reload-interval=30s`
  if (namespace === undefined)
    return `Thanos Query: "atlas serve${sameStore(flags)} --thanos-endpoints FILE" keeps a file that tells it whom to ask. Start it with\n${flagsFor('FILE')}`
  return `Thanos Query, in namespace ${settings.thanosNamespace}: ConfigMap ${objectNames.endpoints} there tells it whom to ask. Start it with
${flagsFor(`${FOLDER}/${ENDPOINTS_KEY}`)}
and mount the ConfigMap as a folder (with subPath it would never be renewed):
  volumes:
    - name: atlas
      configMap: {name: ${objectNames.endpoints}}
  volumeMounts: # of its container
    - {name: atlas, mountPath: ${FOLDER}, readOnly: true}${settings.internalTls.length === 0 ? '' : '\nIts certificate as well: docs/how-to/internal-tls.md.'}`
}
