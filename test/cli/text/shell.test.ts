import {execFileSync} from 'node:child_process'
import {expect} from 'chai'
import {sameStore} from '../../../src/lib/cli/flags/store.js'
import {envoyCommand, shellWord} from '../../../src/lib/cli/text/shell.js'

/** A command line as a POSIX shell runs it. */
function run(command: string): string {
  return execFileSync('sh', ['-c', command], {encoding: 'utf8'})
}

describe('cli/text/shell: printed commands', () => {
  for (const word of ['./a b', "it's", '$HOME', '~/state', 'a;b', '"', 'a*', '', 'ü', 'plain-1.2/x'])
    it(`${JSON.stringify(word)} is one word for a shell, and itself`, () => {
      expect(run(`printf '[%s]' ${shellWord(word)}`)).to.equal(`[${word}]`)
    })

  it('what no shell changes is not quoted', () => {
    expect(['./atlas-state', '/etc/envoy-paris/envoy.json', '11901=21901', '[::]:6305'].map(word => shellWord(word))).to.deep.equal([
      './atlas-state',
      '/etc/envoy-paris/envoy.json',
      '11901=21901',
      "'[::]:6305'",
    ])
  })

  it('the flags that name the store are quoted', () => {
    expect(run(`printf '[%s]'${sameStore({store: './a b', namespace: undefined, context: undefined, kubeconfig: undefined})}`)).to.equal(
      '[--store][./a b]',
    )
  })

  it('an Envoy starts under a hard limit of open files below the default', () => {
    const command = envoyCommand('/tmp/a b/envoy.json', ' --flag')
    expect(run(`envoy() { printf '[%s]' "$@"; ulimit -n; }; ulimit -n 1000; ${command}`)).to.equal(
      '[-c][/tmp/a b/envoy.json][--flag]1000\n',
    )
    expect(run(`envoy() { ulimit -n; }; ulimit -Sn 500; ulimit -Hn 1000; ${command}`), 'the hard limit').to.equal('1000\n')
  })
})
