/**
 * Programs for pages that are run with the files of a release, on API servers without a kubelet, a registry or a container engine:
 * `helm`, `kubectl` and `npm` under their own names, which do what the page's command would do there.
 */
import {execFileSync} from 'node:child_process'
import {chmodSync, mkdirSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {npmCommand} from '../../scripts/setup/npm.mjs'
import {program} from './kubernetes/programs.js'
import {version} from './release.js'

/** Puts them into `folder/bin`. A page's commands must run in `folder`, where the release's files are. */
export function placeStandIns(folder: string): void {
  mkdirSync(join(folder, 'bin'), {recursive: true})
  for (const [name, text] of Object.entries(standIns())) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/bash\n${text}`)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
}

/** The environment in which the stand-ins come first on PATH, and global npm packages are installed in `folder/npm`. */
export function environmentOf(folder: string, kubeconfig: string): NodeJS.ProcessEnv {
  return {
    KUBECONFIG: kubeconfig,
    HOME: folder,
    PATH: [join(folder, 'bin'), join(folder, 'npm/bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(':'),
    npm_config_prefix: join(folder, 'npm'),
    npm_config_cache: process.env['npm_config_cache'] ?? join(process.env['HOME'] ?? '', '.npm'),
    ATLAS_STORE: undefined,
  }
}

/**
 * `helm`: charts come from the release's files instead of a registry, the hook is run below, tests are skipped, and no pod is
 * waited for. `kubectl rollout status`: the object must exist, and is not waited for. `npm install` installs the release's package.
 */
function standIns(): Record<string, string> {
  const [helm, kubectl] = [program('helm'), program('kubectl')]
  return {
    helm: `set -eu
args=()
while [ $# -gt 0 ]; do
  case "$1" in
    oci://ghcr.io/goatlas-io/charts/*) args+=("./\${1##*/}-${version}.tgz");;
    --version) shift;;
    --wait) ;;
    *) args+=("$1");;
  esac
  shift
done
case " \${args[*]} " in
  ' test '*) exec ${helm} status "\${args[@]:1}";;
  *' --install atlas '*)
    # its hook is what a kubelet would run: the arguments of the Job, by the installed program
    ${helm} "\${args[@]}" --no-hooks
    exec ${process.execPath} --input-type=module --eval ${quoted(runHook)} <(${helm} get hooks atlas --namespace atlas);;
  *' get '*|*' history '*) exec ${helm} "\${args[@]}";;
  *) exec ${helm} "\${args[@]}" --no-hooks;;
esac
`,
    kubectl: `set -eu
args=()
for word in "$@"; do case "$word" in rollout) args+=(get);; status|--timeout|5m) ;; *) args+=("$word");; esac; done
exec ${kubectl} "\${args[@]}"
`,
    npm: `exec ${npm()} "\${@/@goatlas\\/atlas@${version}/./goatlas-atlas-${version}.tgz}"\n`,
  }
}

/** Finds the Job `atlas-init` among the hooks in a file, and runs its arguments. */
const runHook = `
import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {createRequire} from 'node:module'
const {loadAll} = createRequire(${JSON.stringify(import.meta.url)})('js-yaml')
const job = loadAll(readFileSync(process.argv[1], 'utf8')).find(object => object?.kind === 'Job')
execFileSync('atlas', job.spec.template.spec.containers[0].args, {stdio: 'inherit'})
`

/** The full path of the npm that runs this: by its name alone the stand-in would run itself. */
function npm(): string {
  const [command, ...first] = npmCommand()
  return [command === 'npm' ? execFileSync('/bin/sh', ['-c', 'command -v npm'], {encoding: 'utf8'}).trim() : command, ...first].join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
