/** Confirmation on a terminal. inquirer is loaded only when there is something to confirm. */
import {AtlasError} from '../model/errors.js'
import {wrapWords} from './text/render.js'

export interface ConfirmOptions {
  readonly yes: boolean
  readonly noInput: boolean
}

/**
 * Lets the user type `name` before something is deleted for good.
 * @param action what is refused without confirmation, such as `remove cluster paris`
 * @throws AtlasError `invalid` without a terminal or with `noInput`, `failed` where something else was typed
 */
export async function confirmByName(
  name: string,
  {action, consequence}: {readonly action: string; readonly consequence: string},
  {yes, noInput}: ConfirmOptions,
): Promise<void> {
  if (yes) return
  const isTerminal = process.stdin.isTTY && process.stderr.isTTY
  if (noInput || !isTerminal)
    throw new AtlasError('invalid', `refusing to ${action} without confirmation (${noInput ? 'no input allowed' : 'not a terminal'})`, {
      hint: 'add --yes to skip the confirmation',
    })
  const {default: inquirer} = await import('inquirer')
  const prompt = inquirer.createPromptModule({output: process.stderr})
  // inquirer breaks a long question in the middle of a word.
  process.stderr.write(`${wrapWords(consequence, process.stderr.columns > 0 ? process.stderr.columns : 80)}\n`)
  const message = `Type ${name} to continue:`
  // By default inquirer marks every answer with a green tick, a wrong one too, before anything is done.
  const question = {type: 'input' as const, name: 'answer', message, theme: {prefix: '?'}}
  const {answer} = await prompt<{answer: string}>([question]).catch((error: unknown) => {
    // Ctrl-C, or the end of input
    if (error instanceof Error && error.name === 'ExitPromptError') return {answer: ''}
    throw error
  })
  if (answer.trim() !== name) throw new AtlasError('failed', `not confirmed: "${name}" was not typed; nothing was changed`)
}
