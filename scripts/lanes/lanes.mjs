/** The lanes of tests: their files, real programs, time limits and seeds. run.mjs runs one. */
import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {root} from '../setup/checkout.mjs'

/**
 * @typedef {object} Lane
 * @property {string} name
 * @property {string[]} files
 * @property {string[]} ignore
 * @property {string[]} programs real programs that it needs
 * @property {NodeJS.Platform[] | undefined} platforms where it can run; undefined: everywhere
 * @property {number} testSeconds the time limit of a single test that sets none
 * @property {number} usualMinutes how long it takes on two cores beside other lanes: the longest begins first
 * @property {number} laneMinutes the time limit of one run: beyond it, something hangs. A slow machine has needed 11 to 15 of them for each lane
 * @property {{folders: string[], share: number}} [apart] folders whose files run in a process of their own, beside that of all other files, and
 *   their share of the lane's time; in `kubernetes` each process has its own shared API server
 * @property {number} [randomRuns] how often it runs, each time on a new seed; without: once, on the fixed seed (seed.mjs)
 */

/** Every test file with a property test. */
function propertyTests() {
  const files = readdirSync(join(root, 'test'), {recursive: true}).map(name => join('test', name))
  return files.filter(file => file.endsWith('.test.ts') && readFileSync(join(root, file), 'utf8').includes("from 'fast-check'"))
}

/** @type {Lane[]} */
export const lanes = [
  {
    name: 'unit',
    files: ['test/**/*.test.ts'],
    ignore: ['test/**/*.{envoy,kubernetes,real,long}.test.ts'],
    programs: [],
    platforms: undefined,
    testSeconds: 60,
    usualMinutes: 6,
    laneMinutes: 40,
  },
  {
    name: 'envoy',
    files: ['test/**/*.envoy.test.ts'],
    ignore: [],
    programs: ['envoy', 'envoy-1.39', 'envoy-1.38', 'envoy-1.37', 'envoy-1.36'],
    platforms: undefined,
    testSeconds: 60,
    usualMinutes: 14,
    laneMinutes: 45,
    apart: {folders: ['test/e2e'], share: 0.7},
  },
  {
    name: 'kubernetes',
    files: ['test/**/*.kubernetes.test.ts'],
    ignore: [],
    programs: [
      ...['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'helm', 'helm3', 'crds', 'coredns', 'envoy', 'promtool'],
      ...['prometheus-operator', 'operator-crds', 'prometheus-3', 'alertmanager', 'thanos', 'cert-manager', 'cert-manager-crds', 'traefik'],
    ],
    platforms: ['linux'],
    testSeconds: 180,
    usualMinutes: 18,
    laneMinutes: 45,
    apart: {folders: ['test/e2e', 'test/server', 'test/store'], share: 0.6},
  },
  {
    name: 'real',
    files: ['test/**/*.real.test.ts'],
    ignore: [],
    programs: ['envoy', 'prometheus', 'promtool', 'thanos', 'chromium', 'alertmanager', 'oauth2-proxy', 'traefik', 'prometheus-3'],
    platforms: ['linux'],
    testSeconds: 180,
    usualMinutes: 6,
    laneMinutes: 40,
  },
  {
    name: 'long',
    files: ['test/**/*.long.test.ts'],
    ignore: [],
    programs: [
      ...['envoy', 'prometheus', 'prometheus-3', 'promtool', 'alertmanager', 'thanos'],
      ...['etcd', 'kube-apiserver', 'kubectl', 'helm', 'crds', 'envoy-gateway', 'prometheus-operator', 'operator-crds'],
      ...['cert-manager', 'cert-manager-crds'],
    ],
    platforms: ['linux'],
    testSeconds: 3600,
    usualMinutes: 120,
    laneMinutes: 240,
    randomRuns: 1,
  },
  {
    name: 'random',
    files: propertyTests(),
    ignore: [],
    programs: [],
    platforms: undefined,
    testSeconds: 60,
    usualMinutes: 60,
    laneMinutes: 30,
    randomRuns: 20,
  },
]

/** The lanes that `npm test` runs. */
export const everydayLanes = lanes.filter(({randomRuns}) => randomRuns === undefined)

/**
 * The lanes that run for one: itself, or two where some of its files run apart. Every file is in exactly one of them.
 * @param {Lane} lane
 * @returns {Lane[]}
 */
export function processesOf({apart, ...lane}) {
  if (apart === undefined) return [lane]
  const {name, files, ignore, usualMinutes} = lane
  const within = files.flatMap(pattern => apart.folders.map(folder => pattern.replace(/^test\//, `${folder}/`)))
  return [
    {...lane, name: `${name} 1`, files: within, usualMinutes: usualMinutes * apart.share},
    {...lane, name: `${name} 2`, ignore: [...ignore, ...within], usualMinutes: usualMinutes * (1 - apart.share)},
  ]
}
