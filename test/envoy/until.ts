/** Waiting for what a running Envoy does. */
import {waitFor} from '../../src/demo/lab/wait.js'

const never = new AbortController().signal

/** Waits for a minute at most; a call that is not answered is no answer yet. @throws AtlasError with the last error of `isSo` */
export async function until(what: string, isSo: () => Promise<boolean> | boolean): Promise<void> {
  await waitFor(what, async () => ((await isSo()) ? true : undefined), {signal: never, timeoutMs: 60_000, everyMs: 50})
}
