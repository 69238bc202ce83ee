/** Mocha's spec reporter, which also writes the results to the file ATLAS_LANE_RESULT, from which run.mjs counts them. */
const {writeFileSync} = require('node:fs')
const {reporters} = require('mocha')

module.exports = class LaneReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const file = process.env.ATLAS_LANE_RESULT
    if (file === undefined) return
    const skipped = []
    const failed = []
    runner.on('pending', test => skipped.push(test.fullTitle()))
    runner.on('fail', test => failed.push(test.fullTitle()))
    runner.once('end', () => writeFileSync(file, JSON.stringify({passed: this.stats.passes, failed, skipped})))
  }
}
