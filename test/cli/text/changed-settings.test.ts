/** What `init` prints after a change of settings: what takes effect automatically, and what a person has to do. */
import {readdir} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {atlas, inFolder} from '../../helpers/atlas.js'

describe('cli/text: what follows from changed settings', function () {
  this.timeout(120_000)

  it('of each change its own consequences, and the first steps of an installation only while they are to be done', () =>
    inFolder(async folder => {
      const store = path.join(folder, 'state')
      const init = async (...flags: string[]): Promise<string> => {
        const {code, stderr} = await atlas('init', '--store', store, ...flags)
        expect(code, stderr).to.equal(0)
        return stderr
      }
      const first = 'Thanos Query: "atlas serve'
      expect(await init())
        .to.contain(first)
        .and.to.contain('Assumed: the observability Envoy')
        .and.not.to.contain('What follows')
      const address = await init('--address', '203.0.113.7')
      expect(address).to.contain('What follows:\n- Servers apply it').and.to.contain('Next, in this order:').and.not.to.contain('former')
      expect(await init('--address', '203.0.113.7'))
        .to.contain('nothing changed')
        .and.to.contain(first)

      const after = async (...flags: string[]): Promise<string> => {
        const text = await init(...flags)
        expect(text, flags.join(' ')).to.contain(`\nNext: atlas status --store ${store}`).and.not.to.contain('cluster add NAME --store')
        const lines = text.slice(text.indexOf('What follows:\n')).split('\n')
        return lines
          .filter(line => line.startsWith('- '))
          .slice(1)
          .join('\n')
      }
      expect(await after('--address', '203.0.113.8')).to.equal(
        '- Envoys of downstream clusters connect to the former address for their configuration until each has a new bootstrap: ' +
          `atlas cluster values NAME --store ${store} --format bootstrap --output DIR, and restart that Envoy.`,
      )
      expect(await after('--ads-server', '127.0.0.1:6305')).to.contain(`atlas cluster values atlas --store ${store} --format bootstrap`)
      expect(await after('--alertmanager', '10.0.0.9:9093')).to.equal('')
      expect(await after('--set', 'connect=3s')).to.equal('')
      expect(await after('--set', 'identity=7d')).to.contain(`"atlas rotate --store ${store}" issues identities now`)
      const groups = await after('--groups', 'asia,europe')
      expect(groups.split('\n')).to.have.length(2)
      expect(groups).to.contain('group europe are in the file whose name ends with -europe, beside')
      expect(await after('--groups', 'asia')).to.equal('- The endpoints of group europe are not kept any more: nothing should read them.')
      expect(await after('--client', 'thanos')).to.equal(
        `- The certificate of client thanos is in the file of Secret atlas-client-thanos in ${store}.`,
      )
      expect(await readdir(store)).to.include('secret-atlas-client-thanos.yaml')
      await init('--client', 'thanos', '--client', 'x:10901')
      expect(await after('--client', 'thanos', '--client', 'x:10902')).to.equal(
        '- Port 10902 speaks plaintext; switched to mutual TLS, it admits client x.\n' +
          '- Port 10901 speaks plaintext; switched to mutual TLS, it refuses client x.',
      )
      await init('--client', 'thanos', '--client', 'x:10901,10902')
      const tls = await init('--internal-tls', '10901')
      expect(tls).to.contain('- Port 10901 of the observability Envoy admits only clients').and.to.contain(first)
      expect(await after('--client', 'thanos', '--client', 'x:10902')).to.equal('- Port 10901 refuses client x from now on.')
      expect(await after('--client', 'thanos', '--client', 'x:10901')).to.contain(
        '- Port 10901 admits client x from now on, with the certificate that it has.',
      )
      expect(await after('--web-domain', 'web.example'))
        .to.contain('https://paris.prom.web.example/')
        .and.to.contain('*.alertmanager.web.example')
      expect(await after('--pages-by-path')).to.contain('paths such as /prom/paris/')
      expect(await after('--web-domain', 'off', '--no-pages-by-path')).to.contain('shows no page')
      const selector = 'monitoring/kubernetes.io/service-name=alertmanager-operated'
      expect(await init('--alertmanager-selector', selector)).to.contain(`alertmanager-selector: (none) -> ${selector}`)
      expect(await init('--alertmanager-selector', 'off')).to.contain(`alertmanager-selector: ${selector} -> (none)`)
    }))
})
