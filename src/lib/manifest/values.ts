/** Helm values for chart `envoy`: where to connect, and which name to expect there. They hold no key, and name the Secret that does. */
import {type Address, type HostPort, renderHostPort} from '../model/address.js'
import {OBSERVABILITY, type Owner, objectNames, sni, spiffe} from '../model/names.js'
import {remember} from '../model/remember.js'
import {type Settings, adsServersOf} from '../model/settings.js'
import {renderYaml} from './yaml.js'

/** `values.yaml` for `owner`'s Envoys, as a plain value. */
export function valuesOf(settings: Settings, owner: Owner): Readonly<Record<string, unknown>> {
  return {...namesOf(owner), ...adsOf(settings, roleOf(owner))}
}

/** The same as the text of a `values.yaml`, as `cluster values` prints it and Secret `<cluster>-envoy-values` holds it. Byte-stable. */
export function renderValues(settings: Settings, owner: Owner): string {
  return renderYaml(namesOf(owner)) + adsText(settings, roleOf(owner))
}

type Role = 'downstream' | 'observability'

function roleOf(owner: Owner): Role {
  return owner === OBSERVABILITY ? 'observability' : 'downstream'
}

function namesOf(owner: Owner): Readonly<Record<string, unknown>> {
  return {cluster: owner, existingSecret: objectNames.credential(owner)}
}

/** The same for all downstream clusters. */
function adsOf(settings: Settings, role: Role): Readonly<Record<string, unknown>> {
  const {trustDomain} = settings
  const isObservability = role === 'observability'
  return {
    ads: {
      addresses: (isObservability ? adsServersOf(settings) : downstreamDials(settings.addresses, settings.adsPort)).map(address =>
        renderHostPort(address),
      ),
      serverName: isObservability ? sni.ads(trustDomain) : sni.observability(trustDomain),
      serverUri: isObservability ? spiffe.ads(trustDomain) : spiffe.observability(trustDomain),
    },
  }
}

const adsText = remember((settings: Settings, role: Role) => renderYaml(adsOf(settings, role)))

function downstreamDials(addresses: readonly Address[], port: number): readonly HostPort[] {
  return addresses.map(({host}) => ({host, port}))
}
