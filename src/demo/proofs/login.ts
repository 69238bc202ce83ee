/** Proof: with a login proxy in front of the pages they are not shown without a login, and alerts, which have none, still arrive. */
import type {HostPort} from '../../lib/model/address.js'
import {ask} from '../lab/http.js'
import {LOGIN} from '../login-proxy.js'
import type {Network} from '../network.js'
import {insist} from '../proof.js'
import {sendAlert} from './alerts.js'
import {pathOf} from './pages.js'

/** @param options.alerts whether an Alertmanager runs, so that alerts can arrive */
export async function loginProxy(network: Network, proxy: HostPort, {alerts}: {readonly alerts: boolean}): Promise<string> {
  const [first] = network.members
  insist(first !== undefined, 'there is no cluster')
  const path = network.prometheuses.has(first.name) ? `${pathOf('prom', first.name)}-/ready` : '/status.json'
  const stranger = await ask(proxy, path)
  insist(stranger.status === 403, `without a login ${path} was answered with ${stranger.status}`)
  insist(/<form method="post".*name="password"/s.test(stranger.body), 'there is no form that asks for a password')
  insist(!stranger.body.includes('GitHub'), 'the form offers a provider that does not work here')
  const wrong = await signIn(proxy, `${LOGIN.password}x`)
  insist(wrong === undefined, 'a wrong password was admitted')
  const cookie = await signIn(proxy, LOGIN.password)
  insist(cookie !== undefined, 'the right password was refused')
  const {status} = await ask(proxy, path, {headers: {cookie}})
  insist(status === 200, `after the login ${path} was answered with ${status}`)
  const said = `oauth2-proxy in front of 10904: ${path} without a login 403, no session for a wrong password, after the login 200`
  if (!alerts) return said
  const alert = await sendAlert(first)
  insist(alert === 200, `an alert was answered with ${alert}`)
  return `${said}; an alert from ${first.name} needs no login and arrived`
}

/** @returns the session's cookie; undefined where the login is refused */
async function signIn(proxy: HostPort, password: string): Promise<string | undefined> {
  const body = new URLSearchParams({username: LOGIN.user, password}).toString()
  const headers = {'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body)}
  const {status, headers: answer} = await ask(proxy, '/oauth2/sign_in', {method: 'POST', headers, body})
  const cookies = (answer['set-cookie'] ?? []).flatMap(cookie => cookie.split(';', 1)).filter(cookie => !/^[^=]*=$/.test(cookie))
  return status === 302 && cookies.length > 0 ? cookies.join('; ') : undefined
}
