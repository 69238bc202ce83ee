/** How much memory this process keeps for garbage. */
import {setFlagsFromString} from 'node:v8'

/**
 * Has V8 clean up sooner. A server's garbage is short-lived and comes in heaps (a fleet that is read, a thousand handshakes); left
 * alone V8 grows its young generation to fit them and keeps it. Measured with 1,000 connected nodes: 306 MiB resident, 406 without.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--max-semi-space-size=16')
}
