/** The output of lanes that run at the same time, shown one lane after the other: what a later lane writes is held until its turn. */

/**
 * @param {string[]} names in the order in which they are shown
 * @param {(text: string | Buffer) => void} show
 * @returns {{write(name: string, text: string | Buffer): void, end(name: string): void}}
 */
export function orderOutput(names, show) {
  /** @type {{name: string, held: (string | Buffer)[], isOver: boolean}[]} */
  const waiting = names.map(name => ({name, held: [], isOver: false}))
  return {
    write(name, text) {
      if (waiting[0]?.name === name) show(text)
      else waiting.find(lane => lane.name === name)?.held.push(text)
    },
    end(name) {
      const lane = waiting.find(each => each.name === name)
      if (lane !== undefined) lane.isOver = true
      while (waiting[0]?.isOver) {
        waiting.shift()
        for (const text of waiting[0]?.held.splice(0) ?? []) show(text)
      }
    },
  }
}
