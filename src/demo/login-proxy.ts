/** oauth2-proxy in front of the web pages. It asks for a name and a password, so that no identity provider is needed. */
import {createHash, randomBytes} from 'node:crypto'
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {type HostPort, renderHostPort} from '../lib/model/address.js'
import type {DemoContext} from './context.js'
import {ask} from './lab/http.js'
import {waitFor} from './lab/wait.js'

/** The one user. Without a login the pages are on the same machine, at 10904, too. */
export const LOGIN = {user: 'demo', password: 'demo'} as const

/** oauth2-proxy's own page begins with a button for its provider. A Go template: values are escaped. */
const signInPage = `{{define "sign_in.html"}}<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Log in</title>
<h1>Log in to the web pages of the demo</h1>
<p>User ${LOGIN.user}, password ${LOGIN.password}.</p>
<form method="post" action="{{.ProxyPrefix}}/sign_in">
<input type="hidden" name="rd" value="{{.Redirect}}">
<p><label>User <input name="username" autocomplete="username" autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password"></label></p>
<p><button>Log in</button></p>
</form>
</html>{{end}}
`

/** Starts oauth2-proxy in front of `pages`, and waits until it answers. @returns its address */
export async function startLoginProxy(pages: HostPort, program: string, context: DemoContext): Promise<HostPort> {
  const {folder, sites, supervisor, signal} = context
  const data = path.join(folder, 'data', 'login-proxy')
  await mkdir(data, {recursive: true, mode: 0o700})
  const users = path.join(data, 'users')
  const hash = createHash('sha1').update(LOGIN.password).digest('base64')
  await writeFile(users, `${LOGIN.user}:{SHA}${hash}\n`, {mode: 0o600})
  await writeFile(path.join(data, 'sign_in.html'), signInPage, {mode: 0o600})
  const listen = {host: sites.login.address, port: sites.login.ports.http}
  await supervisor.start({
    name: 'login-proxy',
    program,
    args: [
      `--http-address=${renderHostPort(listen)}`,
      `--upstream=http://${renderHostPort(pages)}/`,
      `--htpasswd-file=${users}`,
      // A provider must be named; no browser is sent to it, and the demo's own page does not offer it.
      '--provider=github',
      `--custom-templates-dir=${data}`,
      '--client-id=none',
      '--client-secret=none',
      '--email-domain=*',
      '--cookie-secure=false',
    ],
    env: {...process.env, OAUTH2_PROXY_COOKIE_SECRET: randomBytes(16).toString('hex')},
    cwd: data,
  })
  await waitFor('the login proxy to answer', async () => ((await ask(listen, '/ping')).status === 200 ? true : undefined), {
    signal,
    timeoutMs: 30_000,
  })
  return listen
}
