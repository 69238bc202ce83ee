/** The Dockerfile, read as text; image.kubernetes.test.ts runs what it describes. */
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {fits} from '../../bin/engines.js'
import {parseDockerfile, readImage} from '../../scripts/release/dockerfile.mjs'

const read = (name: string) => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8')

describe('the Dockerfile', () => {
  const text = read('Dockerfile')
  const instructions = parseDockerfile(text)

  it('runs and downloads nothing: it needs the network only for the base image, and builds any architecture', () => {
    const used = new Set(instructions.map(({instruction}) => instruction))
    expect([...used].sort()).to.deep.equal(['ARG', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'LABEL', 'USER', 'WORKDIR'])
    expect(text).not.to.match(/\b(amd64|arm64|x86_64|aarch64)\b(?!,? and|\.)/)
  })

  it('is based on a major version of Node that package.json allows, and the base can be replaced, for instance by a digest', () => {
    const base = instructions.filter(({instruction}) => instruction === 'ARG').map(({words}) => words[0])
    expect(base).to.deep.equal(['BASE=gcr.io/distroless/nodejs24-debian13:nonroot'])
    expect(instructions.find(({instruction}) => instruction === 'FROM')?.words).to.deep.equal(['${BASE}'])
    const {engines} = JSON.parse(read('package.json')) as {engines: {node: string}}
    expect(fits('24.21.0', engines.node)).to.equal(true)
  })

  it('has the entry point that the charts expect, and an unprivileged user by number', () => {
    const {entrypoint, user, environment} = readImage(text)
    expect(entrypoint).to.deep.equal(['node', '--min-semi-space-size=4', '--max-semi-space-size=4', '/app/bin/run.js'])
    expect(user).to.equal('65532:65532')
    expect(environment['PATH']).to.match(/^\/nodejs\/bin:/)
    expect(environment).to.include({NODE_ENV: 'production', NODE_DISABLE_COMPILE_CACHE: '1'})
  })
})

describe('parseDockerfile', () => {
  it('reads comments, continued lines, quotes and JSON', () => {
    const text = '# one\nFROM a:1\nENV A=1 \\\n  # between\n  B="two words"\ncopy --chown=0:0 x y /z/\nENTRYPOINT ["p", "q r"]\n'
    expect(parseDockerfile(text)).to.deep.equal([
      {instruction: 'FROM', words: ['a:1']},
      {instruction: 'ENV', words: ['A=1', 'B=two words']},
      {instruction: 'COPY', words: ['--chown=0:0', 'x', 'y', '/z/']},
      {instruction: 'ENTRYPOINT', words: ['p', 'q r']},
    ])
    expect(readImage(text)).to.deep.equal({sources: ['x', 'y'], entrypoint: ['p', 'q r'], environment: {A: '1', B: 'two words'}, user: ''})
  })
})
