/** The file in the cache that reports the download or build of a program, and its progress (README.md beside this file). */
import {appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {startOf} from '../setup/lock.mjs'
import {homeInCache} from './find.mjs'

/**
 * @typedef {object} Report
 * @property {(change: object) => void} set changes fields of the file; an undefined value removes a field
 * @property {(line: string) => void} log adds a line to the log
 * @property {(message: string) => void} fail keeps the file, with state `failed`
 * @property {() => void} done removes the file
 * @property {() => object} read the content of the file
 */

/**
 * @param {import('./catalogue.mjs').Program} program
 * @returns {Report} with state `waiting`
 */
export function openReport(program) {
  const file = `${homeInCache(program)}.json`
  const log = `${homeInCache(program)}.log`
  let status = {
    name: program.name,
    version: program.version,
    state: 'waiting',
    pid: process.pid,
    startTicks: startOf(process.pid),
    since: new Date().toISOString(),
    message: '',
    log,
  }
  const write = () => {
    const aside = `${file}.${process.pid}`
    writeFileSync(aside, JSON.stringify({...status, updated: new Date().toISOString()}))
    renameSync(aside, file)
  }
  const change = fields => {
    status = {...status, ...fields}
    write()
  }
  mkdirSync(dirname(file), {recursive: true})
  writeFileSync(log, '')
  write()
  const heartbeat = setInterval(write, 2000)
  heartbeat.unref()
  return {
    set: change,
    log: line => appendFileSync(log, `${line}\n`),
    fail(message) {
      clearInterval(heartbeat)
      change({state: 'failed', message, done: undefined, total: undefined, secondsLeft: undefined})
    },
    done() {
      clearInterval(heartbeat)
      rmSync(file, {force: true})
    },
    read: () => status,
  }
}
