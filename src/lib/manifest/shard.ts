/** Which of the sharded objects holds an owner's entry. */
import {createHash} from 'node:crypto'
import {SHARDS} from '../model/names.js'

/** The first byte of SHA-256(name), modulo 32. Stored objects depend on it: it never changes. */
export function shardOf(owner: string): number {
  return (createHash('sha256').update(owner).digest()[0] ?? 0) % SHARDS
}
