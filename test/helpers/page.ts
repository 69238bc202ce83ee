/** Code blocks of a page of the documentation, which tests run. */
import {spawn} from 'node:child_process'
import {readFile} from 'node:fs/promises'
import {fileURLToPath} from 'node:url'
import {type Ran, ranOf} from './ran.js'

export interface Block {
  /** The heading above it, without `#`. */
  readonly heading: string
  readonly language: string
  readonly text: string
}

/** All code blocks of `docs/<name>`, also those in lists, in order. */
export async function blocksOf(name: string): Promise<readonly Block[]> {
  const text = await readFile(fileURLToPath(new URL(`../../docs/${name}`, import.meta.url)), 'utf8')
  let heading = ''
  const blocks: Block[] = []
  for (const match of text.matchAll(/^#+ (.*)$|^( *)```([a-z]+)\n([\s\S]*?)\n\2```$/gm)) {
    const [, title, indent = '', language = '', body = ''] = match
    if (title !== undefined) heading = title
    else blocks.push({heading, language, text: `${body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')}\n`})
  }

  return blocks
}

/** Runs commands in a shell that stops at the first failure. */
export async function shell(commands: string, options: {readonly cwd: string; readonly env?: NodeJS.ProcessEnv}): Promise<Ran> {
  const child = spawn('bash', ['-eu', '-o', 'pipefail', '-c', commands], {
    cwd: options.cwd,
    env: {...process.env, ...options.env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return ranOf(child)
}
