/** The Alertmanagers of the observability cluster, to each of which every downstream Prometheus sends its alerts: names and addresses. */
import {type HostPort, parseHostPort} from './address.js'
import {AtlasError, invalid, quote} from './errors.js'
import {byText} from './listing.js'

export interface Alertmanager extends HostPort {
  /** Part of paths, such as `/am/<name>/`: an RFC 1123 label, as the names of pods are. */
  readonly name: string
}

/** Which Alertmanagers the leader finds in Kubernetes. */
export interface AlertmanagerSelector {
  readonly namespace: string
  /** A label selector of EndpointSlices, which carry the labels of their Service: `kubernetes.io/service-name=alertmanager-operated`. */
  readonly selector: string
}

/** Beyond this many the last list stays: what a downstream Envoy announces, and every alert's fan-out, grow with it. */
export const ALERTMANAGERS_MAX = 32

/** The host name by which configurations of the 2021 program know the Alertmanager number `index`. */
export function alertmanagerHost(index: number): string {
  return `alertmanager${index}`
}

/** `monitoring/kubernetes.io/service-name=alertmanager-operated`. @throws AtlasError `invalid` */
export function parseAlertmanagerSelector(text: string, what = 'the selector of Alertmanagers'): AlertmanagerSelector {
  const cut = text.indexOf('/')
  const [namespace, selector] = [text.slice(0, Math.max(cut, 0)), text.slice(cut + 1)]
  const isNamespace = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)
  if (!isNamespace || selector.length > 500 || !/^[\w./-]+=[\w.-]*(,[\w./-]+=[\w.-]*)*$/.test(selector))
    throw invalid(
      what,
      'NAMESPACE/LABEL=VALUE with labels of EndpointSlices, such as monitoring/kubernetes.io/service-name=alertmanager-operated',
      text,
    )
  return {namespace, selector}
}

export function renderAlertmanagerSelector({namespace, selector}: AlertmanagerSelector): string {
  return `${namespace}/${selector}`
}

/** Whether a text can be the name of an Alertmanager: an RFC 1123 label. */
export function isAlertmanagerName(text: string): boolean {
  return NAME.test(text)
}

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/** The list as stored: a name and its `HOST:PORT` each. @throws AtlasError `invalid` */
export function parseAlertmanagers(entries: Readonly<Record<string, string>>): readonly Alertmanager[] {
  const found = Object.entries(entries).map(([name, text]) => {
    if (!isAlertmanagerName(name)) throw new AtlasError('invalid', `the name of an Alertmanager must be that of a pod; got ${quote(name)}`)
    return {name, ...parseHostPort(text, `the address of ${name}`)}
  })
  if (found.length > ALERTMANAGERS_MAX)
    throw new AtlasError('invalid', `there may be at most ${ALERTMANAGERS_MAX} Alertmanagers; there are ${found.length}`)
  return found.sort((a, b) => byText(a.name, b.name))
}
