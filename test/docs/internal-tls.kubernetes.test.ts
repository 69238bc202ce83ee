/** The examples of docs/how-to/internal-tls.md: values that chart atlas takes, a pod that a real API server takes, commands that there are. */
import {readFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {expect} from 'chai'
import {load} from 'js-yaml'
import {applyAll} from '../charts/support/apply.js'
import {type KubernetesObject, findObject, objectsOf, podsOf} from '../charts/support/rendered.js'
import {atlas, inFolder} from '../helpers/atlas.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

const page = readFileSync(fileURLToPath(new URL('../../docs/how-to/internal-tls.md', import.meta.url)), 'utf8')
const [pod = '', values = ''] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(match => match[1] ?? '')

describe('docs/how-to/internal-tls.md', function () {
  this.timeout(180_000)

  it('its commands do what it says, in their order', () =>
    inFolder(async store => {
      const commands = [...page.matchAll(/atlas (init [^\n`]+)/g)].map(([, command = '']) => command).filter(line => !line.includes('DIR'))
      expect(commands).to.deep.equal([
        'init --client thanos',
        'init --internal-tls 10901',
        'init --client thanos --client ingress:10904',
        'init --internal-tls 10901 --internal-tls 10904',
        'init --client ruler --client ingress:10904',
        'init --internal-tls off',
      ])
      for (const command of commands) {
        const {code, stderr} = await atlas(...command.split(' '), '--store', store)
        expect(code, `${command}: ${stderr}`).to.equal(0)
      }
    }))

  it('its values expose a port that the chart has the installation switch', () =>
    inFolder(async store => {
      const objects = await objectsOf({chart: 'atlas', ci: 'default', values})
      findObject(objects, 'Service', 'atlas-clients')
      const [job] = podsOf(objects).filter(({metadata}) => metadata.name.startsWith('job-'))
      const {code, stderr} = await atlas(...(job?.spec.containers[0].args ?? []), '--store', store)
      expect(code, stderr).to.equal(0)
      const {stderr: again} = await atlas('init', '--store', store, '--client', 'none', '--internal-tls', 'off')
      expect(again).to.include('internal-tls: 10901 -> (none)').and.include('clients: thanos -> (none)')
    }))

  it('its pod mounts the Secret as a folder, and is taken by an API server', async () => {
    const kubernetes = await sharedKubernetes()
    const namespace = await kubernetes.newNamespace('internal-tls')
    const {spec} = load(pod.replace('name: thanos-query', 'name: thanos-query\n      image: thanos')) as KubernetesObject
    await applyAll(kubernetes, [{apiVersion: 'v1', kind: 'Pod', metadata: {name: 'query', namespace}, spec: spec!}])
  })
})
