/** The objects of a 2021 installation as a real API server keeps and prints them: they are read as they were written. */
import {mkdir, writeFile} from 'node:fs/promises'
import path from 'node:path'
import {expect} from 'chai'
import {parseAddresses} from '../../src/lib/model/address.js'
import {init} from '../../src/lib/ops/init.js'
import {cryptoSigner} from '../../src/lib/pki/signer.js'
import {openDirectory} from '../../src/lib/store/open.js'
import {inFolder} from '../helpers/atlas.js'
import {goatlasAuthority} from '../helpers/goatlas.js'
import {createGoatlas} from '../helpers/kubernetes/goatlas.js'
import {sharedKubernetes} from '../helpers/kubernetes/shared.js'

describe('a 2021 installation on a real API server', function () {
  this.timeout(180_000)

  it('is adopted from what kubectl prints of it', () =>
    inFolder(async folder => {
      const kubernetes = await sharedKubernetes()
      const namespace = await kubernetes.newNamespace('goatlas')
      await createGoatlas(kubernetes, namespace, goatlasAuthority())
      const directory = path.join(folder, 'state')
      await mkdir(directory, {mode: 0o700})
      const {stdout} = await kubernetes.kubectl(['get', 'services,secrets,configmaps', '-o', 'name', '-n', namespace])
      const names = stdout.trim().split('\n')
      expect(names).to.include.members(['service/downstream1', 'secret/atlas-ca', 'configmap/atlas-atlas-coredns'])
      for (const name of names) {
        const printed = await kubernetes.kubectl(['get', name, '-o', 'yaml', '-n', namespace])
        await writeFile(path.join(directory, `${name.replace('/', '-')}.yaml`), printed.stdout, {mode: 0o600})
      }

      const store = openDirectory({directory})
      const chosen = {namespace, addresses: parseAddresses('203.0.113.7')}
      const {adopted} = await init(store, chosen, {now: () => new Date(), signer: cryptoSigner})
      expect(adopted).to.deep.include({clusters: ['downstream1', 'downstream2', 'downstream3'], assumed: ['downstream2'], unread: []})
      const fleet = await store.load()
      expect([...fleet.faults]).to.deep.equal([])
      expect([...fleet.registrations.values()].map(({replicas, addresses}) => [replicas, addresses.map(({host}) => host)])).to.deep.equal([
        [1, ['1.1.1.1']],
        [2, ['198.51.100.2']],
        [1, ['198.51.100.3', '198.51.100.33']],
      ])
      expect(fleet.endpoints?.text).to.contain(`downstream2-thanos-sidecar1.${namespace}.svc.cluster.local:10901`)
    }))
})
