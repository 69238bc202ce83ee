/** The alert rules of chart `atlas`, as the real promtool reads and evaluates them. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import path from 'node:path'
import {expect} from 'chai'
import {dump} from 'js-yaml'
import {run} from '../helpers/kubernetes/programs.js'
import type {Ran} from '../helpers/ran.js'
import {findObject, objectsOf} from './support/rendered.js'

describe('the alert rules of chart atlas', () => {
  let folder = ''
  let spec: {readonly groups: readonly {readonly rules: readonly {readonly alert: string}[]}[]}
  const promtool = async (...args: string[]): Promise<Ran> => run('promtool', args, {env: {PATH: process.env['PATH']}})

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'atlas-alerts-'))
    const objects = await objectsOf({chart: 'atlas', ci: 'default', set: ['prometheusRule.enabled=true'], namespace: 'monitoring'})
    spec = findObject(objects, 'PrometheusRule', 'atlas-metrics').spec as unknown as typeof spec
    await writeFile(path.join(folder, 'rules.yaml'), dump(spec))
  })
  after(async () => rm(folder, {recursive: true, force: true}))

  it('are left out by default', async () => {
    expect((await objectsOf({chart: 'atlas', ci: 'default'})).map(({kind}) => kind)).not.to.include('PrometheusRule')
  })

  it('pass promtool check rules', async () => {
    const {code, stdout, stderr} = await promtool('check', 'rules', path.join(folder, 'rules.yaml'))
    expect(code, stderr).to.equal(0)
    expect(stdout).to.contain('SUCCESS: 8 rules found')
  })

  /** The clusters, or pods, for which the alert fires after `minutes` (empty where it names none), by `promtool test rules`, which fails where another one fires too. */
  async function fires(
    alert: string,
    series: Readonly<Record<string, string>>,
    minutes: number,
    subjects: readonly string[],
    by: 'cluster' | 'owner' | 'pod' = 'cluster',
  ): Promise<void> {
    expect(spec.groups.flatMap(({rules}) => rules).map(rule => rule.alert)).to.include(alert)
    const test = {
      rule_files: ['rules.yaml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: Object.entries(series).map(([name, values]) => ({series: name, values})),
          promql_expr_test: [
            {
              expr: `count by (namespace, ${by}, severity) (ALERTS{alertname="${alert}", alertstate="firing"})`,
              eval_time: `${minutes}m`,
              exp_samples: subjects.map(subject => ({
                labels: `{${subject === '' ? '' : `${by}="${subject}", `}namespace="monitoring", severity="warning"}`,
                value: 1,
              })),
            },
          ],
        },
      ],
    }
    await writeFile(path.join(folder, 'test.yaml'), dump(test))
    const {code, stdout, stderr} = await promtool('test', 'rules', path.join(folder, 'test.yaml'))
    expect(code, `${stdout}${stderr}`).to.equal(0)
  }

  const of = (metric: string, labels: string): string => `${metric}{namespace="monitoring", ${labels}}`
  const connected = (cluster: string, pod: string): string => of('atlas_cluster_connected', `cluster="${cluster}", pod="${pod}"`)
  const state = (cluster: string, is: string): string => of('atlas_cluster_state', `cluster="${cluster}", state="${is}", pod="ads-0"`)

  it('a cluster that no server sees connected fires after 15 minutes; one with an address still to come, or seen by one server, does not', async () => {
    const series = {
      [connected('paris', 'ads-0')]: '0x60',
      [connected('paris', 'ads-1')]: '0x60',
      [state('paris', 'registered')]: '1x60',
      [connected('lyon', 'ads-0')]: '0x60',
      [state('lyon', 'unreadable')]: '1x60',
      [connected('rome', 'ads-0')]: '0x60',
      [connected('rome', 'ads-1')]: '1x60',
      [state('rome', 'registered')]: '1x60',
      [connected('oslo', 'ads-0')]: '0x60',
      [state('oslo', 'no address')]: '1x60',
      [connected('atlas', 'ads-0')]: '0x60',
      'atlas_cluster_connected{namespace="elsewhere", cluster="nice", pod="ads-0"}': '0x60',
    }
    await fires('AtlasClusterWithoutEnvoy', series, 10, [])
    await fires('AtlasClusterWithoutEnvoy', series, 20, ['atlas', 'lyon', 'paris'])
  })

  it('a cluster that was removed, or is connected again, does not fire any more', async () => {
    const series = {[connected('paris', 'ads-0')]: '0x20 1x20', [connected('rome', 'ads-0')]: '0x20 stale'}
    await fires('AtlasClusterWithoutEnvoy', series, 18, ['paris', 'rome'])
    await fires('AtlasClusterWithoutEnvoy', series, 30, [])
  })

  it('a credential past three quarters of its life fires, one that was only replaced at half of its life does not', async () => {
    const used = (cluster: string): string => of('atlas_cluster_credential_used_ratio', `cluster="${cluster}", pod="ads-0"`)
    const series = {[used('paris')]: '0.76x60', [used('rome')]: '0.6x60'}
    await fires('AtlasCredentialNotReplaced', series, 10, [])
    await fires('AtlasCredentialNotReplaced', series, 20, ['paris'])
  })

  describe('of certificates', () => {
    const used = (owner: string, kind: string): string =>
      of('atlas_certificate_used_ratio', `owner="${owner}", kind="${kind}", pod="ads-0"`)
    const ends = (owner: string, kind: string): string =>
      of('atlas_certificate_expiry_timestamp_seconds', `owner="${owner}", kind="${kind}", pod="ads-0"`)

    it('one is due after two thirds of its life where a person replaces it, otherwise once it should have been replaced', async () => {
      const series = {
        [used('atlas', 'root')]: '0.67x60',
        [used('paris', 'identity')]: '0.7x60',
        [used('rome', 'identity')]: '0.76x60',
        [used('oslo', 'credential')]: '0.76x60',
        [used('nice', 'identity')]: '0.76x10 0x50',
        'atlas_certificate_used_ratio{namespace="elsewhere", owner="lyon", kind="identity", pod="ads-0"}': '0.9x60',
      }
      await fires('AtlasCertificateDue', series, 10, [], 'owner')
      await fires('AtlasCertificateDue', series, 30, ['atlas', 'oslo', 'rome'], 'owner')
    })

    it('one is overdue after five sixths of its life, unless a server knows of a newer one', async () => {
      const series = {
        [used('paris', 'identity')]: '0.84x60',
        [used('rome', 'identity')]: '0.82x60',
        [used('oslo', 'identity')]: '0.84x60',
        [of('atlas_certificate_used_ratio', 'owner="oslo", kind="identity", pod="ads-1"')]: '0.1x60',
      }
      await fires('AtlasCertificateOverdue', series, 10, [], 'owner')
      await fires('AtlasCertificateOverdue', series, 30, ['paris'], 'owner')
    })

    it('one that ends within 3 days fires, a short-lived one that is replaced in time does not', async () => {
      const series = {
        [ends('paris', 'identity')]: '259000x60',
        [used('paris', 'identity')]: '0.9x60',
        [ends('rome', 'identity')]: '3600x60',
        [used('rome', 'identity')]: '0.5x60',
        [ends('oslo', 'identity')]: '300000x60',
        [used('oslo', 'identity')]: '0.9x60',
      }
      await fires('AtlasCertificateExpires', series, 10, [], 'owner')
      await fires('AtlasCertificateExpires', series, 30, ['paris'], 'owner')
    })

    it('a rotation that waits for longer than clients may take fires, one that goes on does not', async () => {
      const waits = of('atlas_rotation_waiting_seconds', 'pod="controller-0"')
      await fires('AtlasRotationStuck', {[waits]: '4600+60x60'}, 30, [''])
      await fires('AtlasRotationStuck', {[waits]: '0+60x60'}, 59, [])
    })
  })

  it('a server with a doubted clock fires after 15 minutes, one whose clock is right again does not', async () => {
    const trusted = (pod: string): string => of('atlas_clock_trusted', `pod="${pod}"`)
    const series = {[trusted('ads-0')]: '0x60', [trusted('ads-1')]: '0x10 1x50', [trusted('controller')]: '1x60'}
    await fires('AtlasClockDoubted', series, 10, [], 'pod')
    await fires('AtlasClockDoubted', series, 30, ['ads-0'], 'pod')
  })

  it('signing that is blocked at any server fires once after 15 minutes; another installation does not count', async () => {
    const blocked = (pod: string): string => of('atlas_signing_blocked', `pod="${pod}"`)
    const series = {
      [blocked('ads-0')]: '0x60',
      [blocked('controller-0')]: '1x40 0x20',
      [blocked('controller-1')]: '1x40 0x20',
      'atlas_signing_blocked{namespace="elsewhere", pod="controller-0"}': '1x60',
    }
    await fires('AtlasSigningBlocked', series, 10, [])
    await fires('AtlasSigningBlocked', series, 30, [''])
    await fires('AtlasSigningBlocked', series, 50, [])
  })
})
