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

  it('say where the web pages are, and how they are switched on', async () => {
    expect(await notes('atlas', 'default'))
      .to.include('port 10904 of Service x-atlas-internal')
      .and.include('atlas init --namespace default --web-domain DOMAIN')
    expect(await notes('atlas', 'pages'))
      .to.include('https://web.example.com/ is the start page, and https://NAME.prom.web.example.com/')
      .and.include('Ingress x-atlas-pages leads to them')
      .and.not.include('By path')
    expect(await notes('atlas', 'default', ['pagesByPath=true']))
      .to.include('By path: /prom/NAME/')
      .and.not.include('--web-domain')
  })

  it('name the Secret of a client of 10901, and of no other', async () => {
    expect(await notes('atlas', 'all'))
      .to.include('Secret atlas-client-thanos,')
      .and.include('--client thanos --client ingress:10902,10904 --internal-tls 10901 --internal-tls 10902 --internal-tls 10904')
      .and.not.include('Secret atlas-client-ingress')
  })

  it('name the port that the observability Envoy connects to', async () => {
    expect(await notes('envoy', 'nodeport')).to.include(
      'atlas cluster add paris --address NODE --port 11901=31901 --port 11902=31902 --port 11903=31903 --port 11904=31904\n',
    )
    expect(await notes('envoy', 'default')).to.include('atlas cluster add paris --address HOST\n')
  })

  it("have the lines for kube-prometheus-stack, which name the chart's Secret", async () => {
    const said = await notes('envoy', 'all')
    expect(said).to.include('additionalAlertManagerConfigsSecret:\n        name: alerts-to-atlas\n        key: config.yaml\n')
    const secrets = (await objectsOf({chart: 'envoy', ci: 'all', namespace: 'edge'})).filter(({kind}) => kind === 'Secret')
    expect(secrets.map(({metadata}) => [metadata.namespace, metadata.name])).to.deep.equal([['monitoring', 'alerts-to-atlas']])
    expect(await notes('envoy', 'observability')).not.to.include('kube-prometheus-stack')
  })
})
