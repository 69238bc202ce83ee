/** A real Thanos Query takes every form of further endpoint that Atlas takes, beside Atlas's own, and refuses what Atlas refuses. */
import {execFile} from 'node:child_process'
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {programs} from '../../src/demo/lab/catalogue.js'
import {findProgram} from '../../src/demo/lab/programs.js'
import {renderEndpoints} from '../../src/lib/manifest/endpoints.js'
import {renderYaml} from '../../src/lib/manifest/yaml.js'
import {parseExtraEndpoints} from '../../src/lib/model/extra-endpoints.js'
import {inFolder} from '../helpers/atlas.js'
import {testFleet, testDependencies, testSettings} from '../helpers/dependencies.js'
import {refusedByThanos, usualExtraEndpoints} from '../helpers/extra-endpoints.js'

describe('further endpoints of a real Thanos Query', function () {
  this.timeout(240_000)

  /** What Thanos Query logs with this file until it serves, or ends. */
  async function said(thanos: string, folder: string, text: string): Promise<string> {
    const file = path.join(folder, 'endpoints.yaml')
    await mkdir(folder, {recursive: true})
    await writeFile(file, text)
    const args = ['query', '--grpc-address=127.0.0.1:0', '--http-address=127.0.0.1:0', `--endpoint.sd-config-file=${file}`]
    return new Promise(resolve => {
      let all = ''
      const child = execFile(thanos, args, () => resolve(all))
      const hear = (part: string): void => {
        all += part
        if (all.includes('listening for requests and metrics')) child.kill('SIGKILL')
      }

      child.stderr?.on('data', hear)
      child.stdout?.on('data', hear)
    })
  }

  it('are taken, in every form', async () => {
    const thanos = (await findProgram(programs.thanos, process.env)) ?? expect.fail('there is no thanos')
    const extraEndpoints = parseExtraEndpoints(usualExtraEndpoints)
    const text = renderEndpoints(testFleet(testDependencies(), ['paris'], {...testSettings, extraEndpoints}))
    await inFolder(async folder => {
      const log = await said(thanos, folder, text)
      expect(log).to.include('listening for requests and metrics').and.not.to.include('unable to')
    })
  })

  it('are refused as a whole for one that Atlas refuses', async () => {
    const thanos = (await findProgram(programs.thanos, process.env)) ?? expect.fail('there is no thanos')
    await inFolder(async folder => {
      for (const entry of refusedByThanos) {
        expect(() => parseExtraEndpoints([entry])).to.throw()
        expect(await said(thanos, folder, renderYaml({endpoints: [entry]}))).to.include('unable to load config initially')
      }
    })
  })
})
