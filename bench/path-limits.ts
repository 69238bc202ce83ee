/** The limits of the data path, and which figures keep to them. */
import {type Row, round} from './kubernetes-limits.js'
import {type Load, type PathFigures, loads} from './path.js'

/** Loads whose rate is compared with that of the leanest pair; of the others the latency is stated. */
const compared = (load: Load): boolean => !load.endsWith('one at a time')

/** A pair that is at least as fast as the leanest one. */
export function judgePath(figures: PathFigures): readonly Row[] {
  return (Object.keys(loads) as Load[]).filter(compared).map(load => {
    const {rateRatio} = figures[load].atlas
    return {
      what: `${load}, a second, against the lean pair`,
      limit: 'at least 1 x',
      got: `${round(rateRatio)} x`,
      ok: round(rateRatio) >= 1,
    }
  })
}

/** One line for each load: rates, CPU time and latency by each way. */
export function pathText(figures: PathFigures): string {
  const lines = (Object.keys(loads) as Load[]).map(load => {
    const {atlas, lean, direct} = figures[load]
    const {unit} = loads[load]
    const [per, each] = unit === 'GB' ? ['GB/s', 'GB'] : ['/s', '1,000']
    const rates = `${round(atlas.perS)} ${per} (lean ${round(lean.perS)}, direct ${round(direct.perS)})`
    const cpu = `CPU of both Envoys ${milli(atlas.cpuS)} s for ${each} (lean ${milli(lean.cpuS)})`
    const added = (us: number): number => Math.round(us - direct.medianUs)
    const latency = `median latency +${added(atlas.medianUs)} µs over direct (lean +${added(lean.medianUs)})`
    return `${load}: ${rates}; ${cpu}${unit === 'GB' ? '' : `; ${latency}`}`
  })
  return lines.join('\n')
}

function milli(seconds: number): string {
  return seconds.toFixed(3)
}
