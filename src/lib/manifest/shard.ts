/** Which of the sharded objects holds an owner's entry. */
import {createHash} from 'node:crypto'
import {SHARDS} from '../model/names.js'

/** First byte of SHA-256(name) mod 32 (design, part 5). */
export function shardOf(owner: string): number {
  return (createHash('sha256').update(owner).digest()[0] ?? 0) % SHARDS
}
