/** The import rules of the house: floors import downward, pure rooms touch no world, each library lives in its room. */

/** Lowest first. Rooms on one floor may import each other only on floors 2 and 3. */
const floors = [
  ['^src/lib/model/'],
  ['^src/lib/xds/'],
  ['^src/lib/manifest/', '^src/lib/envoy/', '^src/lib/pki/', '^src/lib/check/'],
  ['^src/lib/store/'],
  ['^src/lib/ops/'],
  ['^src/server/', '^src/lib/cli/'],
  ['^src/demo/'],
  ['^src/commands/', '^src/index\\.ts$'],
]
const pure = '^src/lib/(model|xds|pki|envoy|manifest|check)/'

const upward = floors
  .slice(0, -1)
  .map((rooms, floor) => ({
    name: `floor-${floor}-never-looks-up`,
    comment: 'A lower floor must be understandable without the floors above it.',
    severity: 'error',
    from: {path: rooms},
    to: {path: floors.slice(floor + 1).flat()},
  }))

/** A package, or generated code, that only the named rooms may import. */
function livesIn(name, path, homes) {
  return {
    name: `${name}-lives-in-its-room`,
    comment: `Its replacement concerns one place: ${homes}`,
    severity: 'error',
    from: {path: '^src/', pathNot: homes},
    to: {path},
  }
}

/** Core modules that the pure rooms must not touch, but for those listed. */
function touchesNoWorld(room, allowed) {
  return {
    name: `${room.replace(/\W+/g, '-')}-touches-no-world`,
    comment: 'Floors 0 to 2 know no clock, environment, disk, network or log: they can be tested with values alone.',
    severity: 'error',
    from: {path: `^src/lib/(${room})/`},
    to: {dependencyTypes: ['core'], dependencyTypesNot: ['type-only'], ...(allowed === undefined ? {} : {pathNot: allowed})},
  }
}

export default {
  forbidden: [
    ...upward,
    {
      name: 'server-and-cli-are-strangers',
      comment: 'A command that talks to a store must not load a gRPC server, nor a server a prompt.',
      severity: 'error',
      from: {path: '^src/(server|lib/cli)/'},
      to: {path: '^src/(server|lib/cli)/', pathNot: '^src/$1/'},
    },
    {
      name: 'commands-do-not-share',
      comment: 'Code that two commands need is in lib/cli or lib/ops.',
      severity: 'error',
      from: {path: '^src/commands/(.+)'},
      to: {path: '^src/commands/', pathNot: '^src/commands/$1'},
    },
    {
      name: 'lab-does-not-know-the-demo',
      comment: 'Tests use the laboratory without the demo: the demo imports it, never the reverse.',
      severity: 'error',
      from: {path: '^src/demo/lab/'},
      to: {path: '^src/demo/', pathNot: '^src/demo/lab/'},
    },
    {
      name: 'no-cycle',
      comment: 'A circle can only be understood as a whole.',
      severity: 'error',
      from: {path: '^src/'},
      to: {circular: true},
    },
    {
      name: 'no-orphan',
      comment: 'A file that nothing imports is not in use.',
      severity: 'error',
      from: {orphan: true, path: '^src/', pathNot: '^src/(commands/|index\\.ts$|gen/|.*\\.d\\.ts$)'},
      to: {},
    },
    touchesNoWorld('model', '^(node:)?net$'),
    touchesNoWorld('pki|manifest|xds', '^(node:)?(crypto|zlib)$'),
    touchesNoWorld('envoy|check'),
    {
      name: 'pure-rooms-use-pure-packages',
      comment: 'A package may reach the disk or the network on its own.',
      severity: 'error',
      from: {path: pure},
      to: {path: 'node_modules/', pathNot: 'node_modules/(@bufbuild/protobuf|js-yaml|node-forge|@types)/'},
    },
    livesIn('generated-code', '^src/gen/', '^src/(gen|lib/xds|lib/envoy|server|demo)/'),
    livesIn('protobuf', 'node_modules/@bufbuild/', '^src/(gen|lib/xds|lib/envoy|server|demo)/'),
    livesIn('forge', 'node_modules/(@types/)?node-forge/', '^src/lib/pki/'),
    livesIn('yaml', 'node_modules/js-yaml/', '^src/lib/manifest/'),
    livesIn('grpc', 'node_modules/@grpc/', '^src/(server|demo)/'),
    livesIn('metrics-and-log', 'node_modules/(prom-client|pino)/', '^src/server/'),
    livesIn('oclif', 'node_modules/@oclif/', '^src/(commands|lib/cli)/'),
    livesIn('inquirer', 'node_modules/(@inquirer|inquirer)/', '^src/lib/cli/'),
    livesIn('child-processes', '^(node:)?child_process$', '^src/(demo/|lib/store/kubernetes/kubeconfig/exec\\.ts$)'),
    {
      name: 'product-does-not-know-its-tests',
      comment: 'Tests, benchmarks and scripts are not shipped.',
      severity: 'error',
      from: {path: '^(src|bin)/'},
      to: {path: '^(test|bench|scripts)/'},
    },
    {
      name: 'shipped-packages-only',
      comment: 'A development dependency is not installed with the package.',
      severity: 'error',
      from: {path: '^(src|bin)/'},
      to: {dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/'},
    },
    {name: 'resolves', comment: 'The import does not resolve.', severity: 'error', from: {}, to: {couldNotResolve: true}},
  ],
  options: {
    tsConfig: {fileName: 'tsconfig.json'},
    tsPreCompilationDeps: true,
    doNotFollow: {path: 'node_modules'},
    exclude: {path: '^(dist|coverage)/'},
    enhancedResolveOptions: {exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types']},
  },
}
