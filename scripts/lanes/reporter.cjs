/** Mocha's spec reporter, which also writes the results to the file ATLAS_LANE_RESULT, from which run.mjs counts them. */
const {writeFileSync} = require('node:fs')
const {relative} = require('node:path')
const {reporters} = require('mocha')

module.exports = class LaneReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const file = process.env.ATLAS_LANE_RESULT
    if (file === undefined) return
    const skipped = []
    const failed = []
    const reasons = {}
    const clock = fileClock()
    runner.on('suite', suite => clock.at(suite.file))
    runner.on('pending', test => skipped.push(test.fullTitle()))
    runner.on('fail', (test, error) => {
      failed.push(test.fullTitle())
      reasons[test.fullTitle()] = firstLines(error)
    })
    runner.once('end', () =>
      writeFileSync(file, JSON.stringify({passed: this.stats.passes, failed, reasons, skipped, files: clock.seconds()})),
    )
  }
}

/** The summary at the end of a run may be all that is kept of it: these lines of an error, each cut at 200 characters, are in it. */
const REASON_LINES = 6

function firstLines(error) {
  return String(error?.message ?? error)
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(0, REASON_LINES)
    .map(line => line.slice(0, 200))
}

/** How many seconds each file takes, with its hooks: from its first suite to that of the next file. */
function fileClock() {
  const seconds = {}
  let file
  let since
  function stop() {
    const now = performance.now()
    if (file !== undefined) seconds[file] = (seconds[file] ?? 0) + (now - since) / 1000
    since = now
  }
  return {
    at(next) {
      if (next === undefined || next === file) return
      stop()
      file = next
    },
    seconds() {
      stop()
      return Object.fromEntries(Object.entries(seconds).map(([name, value]) => [relative(process.cwd(), name), Number(value.toFixed(1))]))
    },
  }
}
