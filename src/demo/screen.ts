/** What the demo prints: progress on stderr, proofs on stdout, colour only on a terminal. */
import {wrapText} from '../lib/cli/text/render.js'
import type {Proof} from './proof.js'

export interface Screen {
  /** The start of a new step. */
  step(text: string): void
  /** A line below the current step. */
  detail(text: string): void
  /** A command line that is being run, as a user could type it. */
  command(text: string): void
  /** A progress line; replaces the one before it, and is erased by the next line of another kind. */
  progress(text: string): void
  proof(proof: Proof): void
  /** A warning. */
  warn(text: string): void
}

export interface Output {
  readonly isTTY?: boolean
  /** Of a terminal. */
  readonly columns?: number
  write(text: string): unknown
}

export interface ScreenOptions {
  readonly words: Output
  readonly proofs: Output
  /** False where NO_COLOR is set. */
  readonly mayColour: boolean
  /** Milliseconds, for the pace of progress lines where they can't be replaced. */
  readonly now: () => number
}

/** Where lines can't be replaced, progress is printed at most this often. */
const PROGRESS_EVERY_MS = 15_000

/** Opens the demo's output; lines of both streams keep their order. */
export function openScreen({words, proofs, mayColour, now}: ScreenOptions): Screen {
  const paint = mayColour ? painter(words) : plain
  const paintProof = mayColour ? painter(proofs) : plain
  let isProgressShown = false
  let progressAt = Number.NEGATIVE_INFINITY
  const clear = (): void => {
    if (isProgressShown) words.write('\r\u001B[K')
    isProgressShown = false
  }
  const line = (text: string): void => {
    clear()
    words.write(`${text}\n`)
  }
  return {
    step: text => {
      line(`${paint('bold', '●')} ${paint('bold', wrapped(words, `● ${text}`).slice(2))}`)
    },
    detail: text => {
      line(wrapped(words, `  ${text}`))
    },
    command: text => {
      line(paint('dim', `  $ ${text}`))
    },
    warn: text => {
      line(`${paint('yellow', '!')} ${wrapped(words, `! ${text}`).slice(2)}`)
    },
    progress: text => {
      if (words.isTTY === true) {
        words.write(`\r\u001B[K  ${paint('dim', text)}`)
        isProgressShown = true
      } else if (now() - progressAt >= PROGRESS_EVERY_MS) {
        progressAt = now()
        line(`  ${text}`)
      }
    },
    proof: ({name, ok, saw}) => {
      clear()
      const mark = ok ? paintProof('green', '✔') : paintProof('red', '✘')
      const text = wrapped(proofs, `✔ ${name}: ${saw}`).slice(2 + name.length)
      proofs.write(`${mark} ${paintProof('bold', name)}${text}\n`)
    },
  }
}

const codes = {bold: 1, dim: 2, red: 31, green: 32, yellow: 33} as const

type Paint = (style: keyof typeof codes, text: string) => string

const plain: Paint = (_, text) => text

function painter(output: Output): Paint {
  return output.isTTY === true ? (style, text) => `\u001B[${codes[style]}m${text}\u001B[0m` : plain
}

/** Broken at words, where a terminal would break it anywhere. */
function wrapped({isTTY, columns}: Output, text: string): string {
  return wrapText(text, isTTY === true ? columns : undefined)
}
