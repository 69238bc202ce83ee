/** What is said of a command or a flag that does not exist: the nearest one that does, and no guess where none is near. */
import {expect} from 'chai'
import {unknownCommand, unknownFlags} from '../../../src/lib/cli/text/mistyped.js'

const commands = ['cluster:add', 'cluster:list', 'cluster:show', 'init', 'rotate', 'status']

describe('cli/text/mistyped', () => {
  it('names the command that was meant, word by word, and completes nothing', () => {
    const hints = Object.fromEntries(
      ['clutser:list', 'cluster:lsit', 'clutser:lsit', 'cluster:shwo:paris', 'clutser', 'rotat', 'rotat:paris', 'sttaus'].map(id => [
        id,
        unknownCommand(id, commands).hint,
      ]),
    )
    const meant = (command: string): string => `did you mean "atlas ${command}"? "atlas --help" lists the commands`
    expect(hints).to.deep.equal({
      'clutser:list': meant('cluster list'),
      'cluster:lsit': meant('cluster list'),
      'clutser:lsit': meant('cluster list'),
      'cluster:shwo:paris': meant('cluster show'),
      clutser: meant('cluster'),
      rotat: meant('rotate'),
      'rotat:paris': meant('rotate'),
      sttaus: meant('status'),
    })
  })

  it('knows what other programs call a command, and has the flags for help and version', () => {
    const hint = (id: string): string | undefined => unknownCommand(id, commands).hint
    expect(hint('cluster:ls')).to.equal('did you mean "atlas cluster list"? "atlas --help" lists the commands')
    expect(hint('cluster:describe')).to.contain('"atlas cluster show"')
    expect(hint('help')).to.equal('"atlas --help" shows it')
    expect(hint('help:cluster:add')).to.equal('"atlas cluster add --help" shows it')
    expect(hint('version')).to.equal('"atlas --version" shows it')
  })

  it('guesses nothing where no command is near, and names the help of the topic that was right', () => {
    for (const id of ['foo', 'at', 'list', 'x', 'restart']) {
      expect(unknownCommand(id, commands)).to.deep.equal({message: `command ${id} not found`, hint: '"atlas --help" lists the commands'})
    }

    expect(unknownCommand('cluster:foo', commands)).to.deep.equal({
      message: 'command cluster foo not found',
      hint: '"atlas cluster --help" lists the commands',
    })
  })

  it('a word after a command that exists is an argument', () => {
    expect(unknownCommand('rotate:foo:bar', commands)).to.deep.equal({message: 'Unexpected arguments: foo, bar'})
  })

  it('of another error of oclif it says nothing', () => {
    expect(unknownFlags(new Error('Missing 1 required arg'))).to.equal(undefined)
  })
})
