/** The bill of materials: CycloneDX as npm writes it, with values that change from run to run replaced by values that follow from the content. */
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {runQuietly} from '../setup/child.mjs'
import {npmCommand} from '../setup/npm.mjs'

/**
 * Of all packages that are installed in `directory`. Nothing there may be for development: `npm sbom --omit dev` leaves out
 * whatever a development package needs as well, node-forge for one (npm/cli issue 7909).
 * @param {string} directory
 * @param {number} epoch seconds since 1970: its date
 * @returns {Promise<string>} JSON
 */
export async function makeBillOfMaterials(directory, epoch) {
  const [npm, ...first] = npmCommand()
  const kind = ['--sbom-format', 'cyclonedx', '--sbom-type', 'application']
  const bill = JSON.parse(await runQuietly(npm, [...first, 'sbom', ...kind, '--loglevel=error'], {cwd: directory}))
  const {name} = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  return `${JSON.stringify(settle(bill, {name, epoch}), undefined, 2)}\n`
}

/**
 * The same bill on every run: date and number follow from the content, components are in order.
 * @param {object} bill as npm wrote it; it calls the root by its folder
 * @param {{name: string, epoch: number}} of the package, and seconds since 1970
 */
export function settle(bill, {name, epoch}) {
  const settled = {
    ...bill,
    serialNumber: '',
    metadata: {...bill.metadata, timestamp: new Date(epoch * 1000).toISOString(), component: {...bill.metadata.component, name}},
    components: inOrder(bill.components, 'bom-ref'),
    dependencies: inOrder(bill.dependencies, 'ref'),
  }
  return {...settled, serialNumber: `urn:uuid:${uuidOf(JSON.stringify(settled))}`}
}

function inOrder(list, key) {
  return [...list].sort((one, other) => (one[key] < other[key] ? -1 : 1))
}

/** A UUID of version 8 (RFC 9562), which may be made from a hash. */
function uuidOf(content) {
  const hex = createHash('sha256').update(content).digest('hex')
  const variant = ((parseInt(hex[16], 16) & 0x3) | 0x8).toString(16)
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `${variant}${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-')
}
