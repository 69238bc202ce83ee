/** The real programs of this lane are those of the catalogue. */
import {spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {expect} from 'chai'
import {loadAll} from 'js-yaml'
import {lanes} from '../../scripts/lanes/lanes.mjs'
import {programNamed} from '../../scripts/programs/catalogue.mjs'
import {findProgram} from '../../scripts/programs/find.mjs'

describe('the programs of the lane kubernetes', () => {
  const {programs} = lanes.find(({name}) => name === 'kubernetes')!
  for (const name of programs.filter(each => !each.endsWith('crds')))
    it(`${name} is here, and says that it is the wanted version`, () => {
      const program = programNamed(name)
      // Thanos says it on stderr.
      const {stdout, stderr} = spawnSync(placeOf(name), program.versionArgs ?? ['--version'], {encoding: 'utf8'})
      const said = stdout + stderr
      // A program that is never taken from PATH has no rule for the versions that fit.
      // One that has no option for it has the version of its Go module in the file.
      const isNamed = (): boolean => said.includes(program.version) || readFileSync(placeOf(name)).includes(`v${program.version}`)
      expect(program.onPath?.length === 0 ? isNamed() : program.fits(said)).to.equal(true)
    })

  it('crds is here, with the definitions of all objects that cluster values prints, the charts have and their how-to shows', () => {
    const kinds = (loadAll(readFileSync(placeOf('crds'), 'utf8')) as Definition[]).map(({kind, spec}) => [
      kind,
      `${spec.group} ${spec.names.kind}`,
      spec.versions.filter(({served}) => served).map(version => version.name),
    ])
    expect(kinds).to.deep.equal([
      ['CustomResourceDefinition', 'helm.toolkit.fluxcd.io HelmRelease', ['v2']],
      ['CustomResourceDefinition', 'source.toolkit.fluxcd.io OCIRepository', ['v1']],
      ['CustomResourceDefinition', 'helm.cattle.io HelmChart', ['v1']],
      ['CustomResourceDefinition', 'traefik.io Middleware', ['v1alpha1']],
      ['CustomResourceDefinition', 'source.toolkit.fluxcd.io GitRepository', ['v1']],
      ['CustomResourceDefinition', 'kustomize.toolkit.fluxcd.io Kustomization', ['v1']],
      ['CustomResourceDefinition', 'argoproj.io Application', ['v1alpha1']],
      ['CustomResourceDefinition', 'argoproj.io ApplicationSet', ['v1alpha1']],
      ['CustomResourceDefinition', 'monitoring.coreos.com ServiceMonitor', ['v1']],
      ['CustomResourceDefinition', 'monitoring.coreos.com PrometheusRule', ['v1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io Gateway', ['v1', 'v1beta1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io HTTPRoute', ['v1', 'v1beta1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io TCPRoute', ['v1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io TLSRoute', ['v1']],
      // what an implementation of the Gateway API waits for, besides
      ['CustomResourceDefinition', 'gateway.networking.k8s.io GatewayClass', ['v1', 'v1beta1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io ReferenceGrant', ['v1', 'v1beta1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io GRPCRoute', ['v1']],
      ['CustomResourceDefinition', 'gateway.networking.k8s.io BackendTLSPolicy', ['v1']],
    ])
  })
})

interface Definition {
  readonly kind: string
  readonly spec: {
    readonly group: string
    readonly names: {readonly kind: string}
    readonly versions: readonly {readonly name: string; readonly served: boolean}[]
  }
}

function placeOf(name: string): string {
  const path = findProgram(programNamed(name))
  if (path === undefined) throw new Error(`there is no ${name} here: "node scripts/programs/main.mjs ensure ${name}" brings one`)
  return path
}
