/** `npm run bench`: runs bench/run.ts with its own flags. */
import {join} from 'node:path'
import {root} from '../setup/checkout.mjs'
import {runInForeground} from '../setup/child.mjs'

process.exitCode = await runInForeground(process.execPath, ['--import', 'tsx', join(root, 'bench/run.ts'), ...process.argv.slice(2)])
