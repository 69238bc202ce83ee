/**
 * Loaded into every mocha run: the seed of everything that tests choose at random. It is fixed, so that a failure can be repeated; the lanes
 * `random` and `long` set a new one in ATLAS_SEED for each run, and print it. Property tests get it here, other tests by test/helpers/random.ts.
 */
import {createRequire} from 'node:module'
import fc from 'fast-check'

export const seed = Number(process.env.ATLAS_SEED ?? 20_211_125)

// Test files are imported (.mocharc.json); a library that is required all the same has a copy of fast-check of its own.
for (const copy of [fc, createRequire(import.meta.url)('fast-check')]) copy.configureGlobal({seed, reporter: reportFailure})

/** Throws what fast-check throws, and what to add to the test, so that the case that was found is tried in every run from then on. */
function reportFailure(run) {
  if (!run.failed) return
  const found = `seed ${run.seed}, path ${run.counterexamplePath}`
  const kept =
    run.counterexample === null
      ? ''
      : `\n\nKeep this case in the test, for good:\n  examples: [${fc.stringify(run.counterexample)}], // ${found}`
  throw new Error(`${fc.defaultReportMessage(run)}${kept}`, {cause: run.errorInstance})
}
