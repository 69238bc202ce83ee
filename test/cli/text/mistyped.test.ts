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
