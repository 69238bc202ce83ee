/**
 * A process that runs one command of Atlas after the other: it evaluates `bin/run.js` again for each, on modules that are loaded already. A command
 * ends when nothing of it is left to wait for, as a process of its own would. kept-process.ts starts it and sends the arguments.
 */
import process from 'node:process'

/** Ends the output of a command on stdout and on stderr. Atlas writes no such character. */
const END = '\0'
/** Node's exit code where the program waits for a promise that nothing will ever resolve. */
const NEVER_RESOLVED = 13

const [node] = process.argv
const environment = {...process.env}
let commands = 0
/** Undefined: no command runs. */
let isOver

process.on('disconnect', () => process.exit())
process.on('message', ({program, args}) => {
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name)
  Object.assign(process.env, environment)
  process.argv = [node, program, ...args]
  process.exitCode = undefined
  commands += 1
  isOver = false
  // From here on only the command keeps this process going.
  process.channel.unref()
  void import(`../../bin/run.js?command=${commands}`).then(() => (isOver = true))
})
process.on('beforeExit', code => {
  process.channel.ref()
  if (isOver === undefined) return
  // bin/run.js and oclif listen again for each command.
  for (const event of ['error', 'drain']) process.stdout.removeAllListeners(event)
  process.stdout.write(END)
  process.stderr.write(`${isOver ? code : NEVER_RESOLVED}${END}`)
  isOver = undefined
})
