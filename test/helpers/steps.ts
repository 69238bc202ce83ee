/**
 * A suite whose tests are steps: each continues the one before. Mocha's own `bail` leaves such a suite out without a word
 * where a test of any other file has failed before.
 */

/** Call it in `describe`: after a step that failed the later ones of the suite are left out, and the lane names them. */
export function inSteps(): void {
  let hasFailed = false
  beforeEach(function () {
    if (hasFailed) this.skip()
  })
  afterEach(function () {
    hasFailed ||= this.currentTest?.state === 'failed'
  })
}
