/** `npm run coverage [-- FILE…]`: which lines and branches of src the unit lane reaches, as a table. It helps to write tests and is not part of the gate. */
import {join} from 'node:path'
import {lanes} from '../lanes/lanes.mjs'
import {runInForeground} from '../setup/child.mjs'
import {root} from '../setup/checkout.mjs'

const unit = lanes.find(({name}) => name === 'unit')
const files = process.argv.slice(2)
process.exitCode = await runInForeground(
  process.execPath,
  [
    join(root, 'node_modules/c8/bin/c8.js'),
    ...['--include', 'src/**', '--exclude', 'src/gen/**', '--reporter', 'text'],
    process.execPath,
    join(root, 'node_modules/mocha/bin/mocha.js'),
    ...['--reporter', 'dot'],
    ...unit.ignore.flatMap(pattern => ['--ignore', pattern]),
    ...(files.length > 0 ? files : unit.files),
  ],
  {cwd: root},
)
