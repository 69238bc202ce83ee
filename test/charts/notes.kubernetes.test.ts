/** The notes of the charts: commands and flags that exist, and the steps for the chosen values. */
import {readFileSync} from 'node:fs'
import path from 'node:path'
import {expect} from 'chai'
import {type Chart, chartFolder, charts, ciNames, findObject, helmAlone, objectsOf, valueArgs} from './support/rendered.js'

interface Manifest {
  readonly commands: Readonly<Record<string, {readonly flags: Readonly<Record<string, unknown>>}>>
}

const {commands} = JSON.parse(readFileSync(path.join(chartFolder('atlas'), '../../oclif.manifest.json'), 'utf8')) as Manifest

async function notes(chart: Chart, ci: string, set: readonly string[] = []): Promise<string> {
  const {code, stdout, stderr} = await helmAlone(['install', 'x', chartFolder(chart), '--dry-run=client', ...valueArgs({chart, ci, set})])
  expect(code, stderr).to.equal(0)
  return stdout.slice(stdout.indexOf('NOTES:'))
}

for (const chart of charts)
  for (const ci of ciNames(chart))
    describe(`the notes of chart ${chart} with the values of ci/${ci}`, () => {
      let said: string
      before(async () => {
        said = await notes(chart, ci)
      })

      it('name commands of atlas that exist', () => {
        const lines = [...said.matchAll(/^\s+atlas (.*?)(\s+#.*)?$/gm)].map(match => match[1] ?? '')
        expect(lines).to.have.length.at.least(2)
        for (const line of lines) {
          const [first = '', second = ''] = line.split(' ')
          const command = commands[`${first}:${second}`] ?? commands[first]
          expect(command, line).to.not.equal(undefined)
          for (const [, flag = ''] of line.matchAll(/ --([-a-z]+)/g)) expect(Object.keys(command?.flags ?? {}), line).to.include(flag)
        }
      })

      it('name objects that exist', async () => {
        const objects = await objectsOf({chart, ci, release: 'x', namespace: 'default'})
        for (const [, kind, name = ''] of said.matchAll(/(?:get |status )(service|deployment)[ /]([-a-z0-9]+)/g))
          findObject(objects, kind === 'service' ? 'Service' : 'Deployment', name)
      })
    })

describe('the notes', () => {
  it('explain how Atlas gets the address, where it has none', async () => {
    expect(await notes('atlas', 'default')).to.include("the load balancer's, port 10900")
    expect(await notes('atlas', 'default', ['service.external.type=NodePort'])).to.include('not set: a NodePort Service has no address')
    expect(await notes('atlas', 'nodeport'))
      .to.include('192.0.2.10, 192.0.2.11, port 30900')
      .and.not.include('not set')
    expect(await notes('atlas', 'nodeport', ['adsPort=443'])).to.include('The nodes listen on 30900. Forward port 443 to it')
  })

  it('name the port that the observability Envoy connects to', async () => {
    expect(await notes('envoy', 'nodeport')).to.include('--port 11901=31901')
    expect(await notes('envoy', 'default')).to.include('atlas cluster add paris --address HOST\n')
  })

  it('name the ports that are reserved', async () => {
    expect(await notes('atlas', 'default')).to.include('Ports 10902, 10903 and 10904 of the Services are reserved, not implemented')
  })
})
