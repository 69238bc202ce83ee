/** `npm run bench`: runs bench/main.ts with its own flags. */
import {join} from 'node:path'
import {root} from '../setup/checkout.mjs'
import {runInForeground} from '../setup/child.mjs'

process.exitCode = await runInForeground(process.execPath, ['--import', 'tsx', join(root, 'bench/main.ts'), ...process.argv.slice(2)])
