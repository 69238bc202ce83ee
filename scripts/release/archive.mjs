/** Makes archives and checksums that are byte for byte the same from the same content. */
import {createHash} from 'node:crypto'
import {readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {runQuietly} from '../setup/child.mjs'

/**
 * Packs all of `directory` into `file`, in order of name, with one date, owned by root, readable by all and writable by root alone.
 * @param {string} directory
 * @param {string} file a .tar.gz
 * @param {number} epoch seconds since 1970
 * @throws {Error} without GNU tar and gzip
 */
export async function pack(directory, file, epoch) {
  const version = await runQuietly('tar', ['--version'])
  if (!version.includes('GNU tar')) throw new Error(`GNU tar is needed on PATH, found ${version.split('\n')[0]}`)
  const same = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX', '--format=ustar']
  const contents = readdirSync(directory).sort()
  await runQuietly(
    'tar',
    ['--create', ...same, '--use-compress-program=gzip -n -9', '--file', file, '--directory', directory, ...contents],
    {env: {...process.env, LC_ALL: 'C', GZIP: undefined}},
  )
}

/**
 * Writes SHA256SUMS over the files of `directory`, as `sha256sum --check` reads it.
 * @param {string} directory
 * @returns {string} its text
 */
export function writeChecksums(directory) {
  const text = readdirSync(directory)
    .filter(name => name !== checksums)
    .sort()
    .map(
      name =>
        `${createHash('sha256')
          .update(readFileSync(join(directory, name)))
          .digest('hex')}  ${name}\n`,
    )
    .join('')
  writeFileSync(join(directory, checksums), text)
  return text
}

/** Stands in a release when it is whole. */
export const checksums = 'SHA256SUMS'
