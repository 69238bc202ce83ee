/** Further endpoints of Thanos Query in every form, and some that it refuses. */
export const usualExtraEndpoints = [
  {address: 'thanos-store.monitoring.svc:10901'},
  {address: 'dnssrv+_grpc._tcp.thanos-store.monitoring.svc'},
  {address: '10.0.0.1:10901', strict: true},
  {address: 'dns+store:10901', group: true, service_config: '{"loadBalancingPolicy":"round_robin"}'},
  {
    address: 'store.example.com:443',
    client_config: {
      tls_config: {enabled: true, cert_file: '/a/tls.crt', key_file: '/a/tls.key', ca_file: '/a/ca.crt', min_version: 'TLS1.2'},
      server_name: 'store',
      compression: 'snappy',
    },
  },
]

export const refusedByThanos = [
  {address: 'dns+a:1', strict: true},
  {address: 'a:1', service_config: '{}'},
  {address: 'a:1', client_config: {compression: 'gzip'}},
]
