/** Questions, asked on a terminal only; inquirer is loaded when there is one to ask. */
import {AtlasError} from '../model/errors.js'

export interface ConfirmOptions {
  readonly yes: boolean
  readonly noInput: boolean
}

/**
 * Has the reader type `name` before something is lost for good.
 * @throws AtlasError `invalid` where nobody can be asked, `failed` where the answer is another
 */
export async function confirmByName(name: string, question: string, {yes, noInput}: ConfirmOptions): Promise<void> {
  if (yes) return
  if (noInput || !process.stdin.isTTY || !process.stderr.isTTY)
    throw new AtlasError('invalid', `${question} Nobody can be asked here`, {hint: 'add --yes to go on without being asked'})
  const {default: inquirer} = await import('inquirer')
  const prompt = inquirer.createPromptModule({output: process.stderr})
  const {answer} = await prompt<{answer: string}>([{type: 'input', name: 'answer', message: `${question} Type ${name} to go on:`}]).catch(
    (error: unknown) => {
      // Ctrl-C, or the end of input
      if (error instanceof Error && error.name === 'ExitPromptError') return {answer: ''}
      throw error
    },
  )
  if (answer.trim() !== name) throw new AtlasError('failed', `"${name}" was not typed; nothing was changed`)
}
