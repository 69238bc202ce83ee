/** Shows the progress of downloads and builds: one line that is rewritten on a terminal, else a line now and then. */

/**
 * @param {NodeJS.WriteStream} stream
 * @returns {{onProgress: (status: object) => void, end: () => void}}
 */
export function showProgress(stream) {
  let last = ''
  let lastAt = 0
  return {
    onProgress(status) {
      const line = renderStatus(status)
      if (stream.isTTY) stream.write(`\r\x1b[K${line.slice(0, stream.columns - 1)}`)
      else if (line !== last && (Date.now() - lastAt > 15_000 || status.doing !== last)) {
        stream.write(`${line}\n`)
        lastAt = Date.now()
      }
      last = stream.isTTY ? line : status.doing
    },
    end() {
      if (stream.isTTY && last !== '') stream.write('\r\x1b[K')
    },
  }
}

/**
 * Such as `thanos 0.42.5: compiling packages 412/1578, 2 min 50 s left`.
 * @param {{name: string, version: string, doing?: string, done?: number, total?: number, secondsLeft?: number}} status
 */
export function renderStatus({name, version, doing = 'other programs come before it', done, total, secondsLeft}) {
  const count = total === undefined ? '' : ` ${done}/${total}`
  const left = secondsLeft === undefined ? '' : `, ${renderSeconds(secondsLeft)} left`
  return `${name} ${version}: ${doing}${count}${left}`
}

/**
 * Such as `2 min 50 s`.
 * @param {number} seconds
 */
export function renderSeconds(seconds) {
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}
