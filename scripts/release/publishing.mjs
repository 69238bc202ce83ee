/** Publishing a release: the conditions that the checkout must meet, and the commands, in order. Publishes nothing. */
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {runQuietly} from '../setup/child.mjs'

const image = 'ghcr.io/goatlas-io/atlas'
const chartRegistry = 'oci://ghcr.io/goatlas-io/charts'

/**
 * The commit that the checkout is at.
 * @param {string} root
 * @returns {Promise<{commit: string, time: number, changed: string[], tags: string[]}>} `time` in seconds since 1970; `changed`: what is not committed
 */
export async function readCheckout(root) {
  const git = async (...args) => (await runQuietly('git', ['-C', root, ...args])).trim()
  const [commit, time] = (await git('log', '-1', '--format=%H %ct')).split(' ')
  const linesOf = text => text.split('\n').filter(line => line !== '')
  return {
    commit,
    time: Number(time),
    changed: linesOf(await git('status', '--porcelain')),
    tags: linesOf(await git('tag', '--points-at', 'HEAD')),
  }
}

/**
 * What prevents publishing what was just made.
 * @param {{version: string, changelog: string, readme: string, changed: string[], tags: string[]}} facts
 * @returns {string[]} one sentence each; none when it can be published
 */
export function obstacles({version, changelog, readme, changed, tags}) {
  return [
    changed.length === 0 ? [] : `not everything is committed: ${changed.map(line => line.slice(2).trim()).join(', ')}`,
    tags.includes(`v${version}`) ? [] : `the commit has no tag v${version}: git tag --sign v${version}`,
    changelog.includes(`\n## [${version}]`) ? [] : `CHANGELOG.md has no section [${version}]`,
    readme.includes('**Not published yet**')
      ? 'README.md and src/lib/manifest/release.ts (isPublished) say that nothing is published yet: change both'
      : [],
  ].flat()
}

/**
 * The commands that publish a release: the image first, since the chart names it, then the charts, since `atlas` names them.
 * @param {{directory: string, tarball: string, charts: string[], version: string, commit: string, epoch: number}} release where it is, the npm
 *   package in it, the names of the charts
 * @returns {string[]}
 */
export function publishCommands({directory, tarball, charts, version, commit, epoch}) {
  const build = [
    `SOURCE_DATE_EPOCH=${epoch} docker buildx build --platform linux/amd64,linux/arm64`,
    `--label org.opencontainers.image.version=${version} --label org.opencontainers.image.revision=${commit}`,
    `--provenance mode=max --tag ${image}:${version} --push - < ${directory}/${contextName(version)}`,
  ]
  return [
    `git push origin v${version}`,
    build.join(' \\\n    '),
    ...charts.map(name => `helm push ${directory}/${name}-${version}.tgz ${chartRegistry}`),
    `npm publish ./${directory}/${tarball} --access public`,
    `gh release create v${version} --verify-tag --notes-from-tag ${directory}/*`,
  ]
}

/** @param {string} version */
export function contextName(version) {
  return `atlas-image-context-${version}.tar.gz`
}

/** @param {string} root @param {string} name of a file that may be missing */
export function textOf(root, name) {
  const file = join(root, name)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/** As npm names it. @param {string} root */
export function tarballName(root) {
  const {name, version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`
}
