{{/*
The files of an Envoy: its bootstrap, the two SDS files through which it reads its credential, and how it is drained.
Edit this file in chart envoy: `npm run generate` copies it to chart atlas, so that either chart can be installed alone.
The bootstrap is what src/lib/envoy/bootstrap.ts builds (test/charts/bootstrap.kubernetes.test.ts).
*/}}

{{/* The folder of the files in the container: envoy.yaml and drain.yaml in config/, the SDS files in sds/, the Secret in certs/. */}}
{{- define "goatlas.envoy.directory" -}}/etc/atlas/envoy{{- end }}

{{/* The folder of Unix sockets, an emptyDir: admin.sock has Envoy's own pages, which show secrets and can stop it. */}}
{{- define "goatlas.envoy.sockets" -}}/run/atlas{{- end }}

{{/* /ready and /stats/prometheus, for the kubelet and Prometheus. */}}
{{- define "goatlas.envoy.statsPort" -}}9902{{- end }}

{{/*
The bootstrap. Takes: cluster, addresses (list of HOST:PORT), serverName, serverUri, bindAddress ("" or an IP address), maxHeapBytes,
concurrency, openFiles (0 for unknown), upstreamTls (list, or none).
*/}}
{{- define "goatlas.envoy.bootstrap" -}}
{{- $named := false }}
{{- $hosts := list }}
{{- range .addresses }}
{{- $host := regexReplaceAll ":[0-9]+$" . "" | lower | trimPrefix "[" | trimSuffix "]" }}
{{- $hosts = append $hosts (dict "host" $host "port" (regexFind "[0-9]+$" .)) }}
{{- if not (or (contains ":" $host) (regexMatch "^[0-9]+([.][0-9]+){3}$" $host)) }}{{ $named = true }}{{ end }}
{{- end }}
node:
  cluster: {{ .cluster | quote }}
  metadata:
    {{- if .bindAddress }}
    atlas.bind_address: {{ .bindAddress | quote }}
    {{- end }}
    {{- if eq .cluster "atlas" }}
    atlas.max_heap_bytes: {{ int64 .maxHeapBytes }}
    {{- end }}
    {{- if .openFiles }}
    atlas.open_files: {{ int .openFiles }}
    {{- end }}
    atlas.workers: {{ int .concurrency }}
    {{- with .upstreamTls }}
    atlas.upstream_tls:
      directory: {{ include "goatlas.envoy.directory" $ }}/upstream
      client: { {{- range $i, $each := . }}{{ if $i }}, {{ end }}{{ $each.name }}: {{ not (empty $each.client) }}{{ end -}} }
    {{- end }}
admin:
  address:
    pipe: {path: {{ include "goatlas.envoy.sockets" . }}/admin.sock, mode: 384} # 0600
  ignore_global_conn_limit: true
# What reverse tunnels need of a bootstrap; no listener uses it yet.
bootstrap_extensions:
  {{- if eq .cluster "atlas" }}
  - name: envoy.bootstrap.reverse_tunnel.upstream_socket_interface
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.bootstrap.reverse_tunnel.upstream_socket_interface.v3.UpstreamReverseConnectionSocketInterface
  {{- else }}
  - name: envoy.bootstrap.reverse_tunnel.downstream_socket_interface
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.bootstrap.reverse_tunnel.downstream_socket_interface.v3.DownstreamReverseConnectionSocketInterface
  {{- end }}
# A name server that does not answer is given up after about 6 s.
typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    query_timeout_seconds: "2"
    query_tries: 2
static_resources:
  clusters:
    - name: xds
      {{- if $named }}
      cluster_type:
        name: envoy.clusters.dns
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
          dns_refresh_rate: 5s
          dns_failure_refresh_rate: {base_interval: 1s, max_interval: 10s}
          dns_jitter: 1s
          dns_lookup_family: ALL
          {{- if eq (len $hosts) 1 }}
          all_addresses_in_single_endpoint: true
          {{- end }}
      wait_for_warm_on_init: false
      {{- else }}
      type: STATIC
      {{- end }}
      connect_timeout: 2s
      load_assignment:
        cluster_name: xds
        endpoints:
          - lb_endpoints:
              {{- range $hosts }}
              - endpoint:
                  address:
                    socket_address: {address: {{ .host | quote }}, port_value: {{ .port }}}
              {{- end }}
      circuit_breakers:
        thresholds:
          - {max_connections: 10000, max_pending_requests: 100000, max_requests: 100000, max_retries: 100000}
      upstream_connection_options:
        tcp_keepalive: {keepalive_probes: 3, keepalive_time: 30, keepalive_interval: 5}
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          common_http_protocol_options: {max_connection_duration: 3600s}
          explicit_http_config:
            http2_protocol_options:
              initial_stream_window_size: 262144
              initial_connection_window_size: 4194304
              connection_keepalive: {interval: 30s, timeout: 5s}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          sni: {{ .serverName | quote }}
          max_session_keys: 0
          common_tls_context:
            alpn_protocols: [h2]
            tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}
            tls_certificate_sds_secret_configs:
              - {{ include "goatlas.envoy.fromFile" "ads-credential" }}
            combined_validation_context:
              default_validation_context:
                match_typed_subject_alt_names:
                  - san_type: URI
                    matcher: {exact: {{ .serverUri | quote }}}
              validation_context_sds_secret_config: {{ include "goatlas.envoy.fromFile" "ads-roots" }}
    - name: admin
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: admin
        endpoints:
          - lb_endpoints:
              - endpoint:
                  address:
                    pipe: {path: {{ include "goatlas.envoy.sockets" . }}/admin.sock}
  listeners:
    # Two pages of admin, read-only. This listener answers from the time when Envoy has its configuration, also when Envoy is short of memory
    # or connections, and while others hold hundreds of connections that send nothing.
    - name: stats
      stat_prefix: stats
      address:
        socket_address:
          address: {{ .bindAddress | default "0.0.0.0" | quote }}
          port_value: {{ include "goatlas.envoy.statsPort" . }}
          {{- if eq .bindAddress "::" }}
          ipv4_compat: true
          {{- end }}
      enable_reuse_port: false
      ignore_global_conn_limit: true
      bypass_overload_manager: true
      per_connection_buffer_limit_bytes: 65536
      filter_chains:
        - filters:
            - name: envoy.filters.network.connection_limit
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit
                stat_prefix: stats
                max_connections: "1000"
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: stats
                codec_type: HTTP1
                request_headers_timeout: 5s
                stream_idle_timeout: 10s
                common_http_protocol_options: {idle_timeout: 5s, max_stream_duration: 30s}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
                route_config:
                  virtual_hosts:
                    - name: stats
                      domains: ["*"]
                      routes:
                        {{- range list "/ready" "/stats/prometheus" }}
                        - match:
                            path: {{ . }}
                            headers: [{name: ":method", string_match: {exact: GET}}]
                          route: {cluster: admin}
                        {{- end }}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
      - envoy_grpc:
          cluster_name: xds
          retry_policy:
            # all other Envoys wait for the observability Envoy
            retry_back_off: {base_interval: 0.200s, max_interval: {{ eq .cluster "atlas" | ternary "1s" "4s" }}}
  cds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
  lds_config: {ads: {}, resource_api_version: V3, initial_fetch_timeout: 0s}
layered_runtime:
  layers:
    - {name: atlas, static_layer: {}}
overload_manager:
  refresh_interval: 0.250s
  resource_monitors:
    - name: envoy.resource_monitors.fixed_heap
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig
        max_heap_size_bytes: {{ .maxHeapBytes | int64 | toString | quote }}
    - name: envoy.resource_monitors.global_downstream_max_connections
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
        max_active_downstream_connections: "50000"
  actions:
    - name: envoy.overload_actions.shrink_heap
      triggers: [{name: envoy.resource_monitors.fixed_heap, threshold: {value: 0.9}}]
    - name: envoy.overload_actions.stop_accepting_requests
      triggers: [{name: envoy.resource_monitors.fixed_heap, threshold: {value: 0.95}}]
stats_config:
  stats_matcher:
    inclusion_list:
      patterns:
        {{- range list "access_logs." "cluster_manager." "connection_limit." "control_plane." "http." "listener." "listener_manager." "overload." "runtime." "sds." "server." "cluster.xds." "cluster.ads-servers." }}
        - prefix: {{ . }}
        {{- end }}
        {{- range list ".membership_healthy" ".membership_total" ".update_failure" ".health_check.attempt" ".health_check.failure" ".health_check.success" ".http2.keepalive_timeout" ".ssl.connection_error" ".ssl.fail_verify_error" ".ssl.fail_verify_san" ".ssl.handshake" ".ssl_context_update_by_sds" ".upstream_context_secrets_not_ready" ".upstream_cx_active" ".upstream_cx_connect_fail" ".upstream_cx_connect_timeout" ".upstream_cx_max_duration_reached" ".upstream_cx_rx_bytes_total" ".upstream_cx_total" ".upstream_cx_tx_bytes_total" ".upstream_rq_2xx" ".upstream_rq_4xx" ".upstream_rq_5xx" ".upstream_rq_active" ".upstream_rq_max_duration_reached" ".upstream_rq_pending_failure_eject" ".upstream_rq_pending_overflow" ".upstream_rq_retry" ".upstream_rq_time" ".upstream_rq_total" }}
        - suffix: {{ . }}
        {{- end }}
{{- end }}

{{- define "goatlas.envoy.fromFile" -}}
{{- $directory := include "goatlas.envoy.directory" . -}}
{name: {{ . }}, sds_config: {resource_api_version: V3, path_config_source: {path: {{ $directory }}/sds/{{ . }}.json, watched_directory: {path: {{ $directory }}/sds}}}}
{{- end }}

{{/* The two SDS files; they contain only paths. */}}
{{- define "goatlas.envoy.credential" -}}
{{- $certs := printf "%s/certs" (include "goatlas.envoy.directory" .) -}}
{{- dict "resources" (list (dict
  "@type" "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
  "name" "ads-credential"
  "tls_certificate" (dict
    "certificate_chain" (dict "filename" (printf "%s/tls.crt" $certs))
    "private_key" (dict "filename" (printf "%s/tls.key" $certs))
    "watched_directory" (dict "path" $certs)))) | toPrettyJson }}
{{- end }}

{{- define "goatlas.envoy.roots" -}}
{{- $certs := printf "%s/certs" (include "goatlas.envoy.directory" .) -}}
{{- dict "resources" (list (dict
  "@type" "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
  "name" "ads-roots"
  "validation_context" (dict
    "trusted_ca" (dict "filename" (printf "%s/ca.crt" $certs))
    "watched_directory" (dict "path" $certs)))) | toPrettyJson }}
{{- end }}

{{/*
The configuration of a second Envoy, which preStop runs for a few seconds: at SIGTERM Envoy ends at once, and the image has no shell that
could make the first one drain. The health checks of the second Envoy make two calls. The first, at once, has the first Envoy ask its
clients to leave (HTTP/2 GOAWAY). The second goes through a listener that waits for `seconds`, and ends the second Envoy and so the hook.
*/}}
{{- define "goatlas.envoy.drain" -}}
{{- $sockets := include "goatlas.envoy.sockets" . -}}
admin:
  address:
    pipe: {path: {{ $sockets }}/drain.sock, mode: 384}
static_resources:
  clusters:
    - name: drain
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: drain
        endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: {{ $sockets }}/admin.sock}}}}]}]
      health_checks:
        - timeout: 1s
          interval: 3600s
          no_traffic_interval: 3600s
          unhealthy_interval: 1s
          unhealthy_threshold: 1
          healthy_threshold: 1
          http_health_check: {host: drain, method: POST, path: "/drain_listeners?graceful&skip_exit"}
    - name: end
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: end
        endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: {{ $sockets }}/wait.sock}}}}]}]
      health_checks:
        - timeout: 3600s
          interval: 1s
          no_traffic_interval: 1s
          unhealthy_threshold: 1
          healthy_threshold: 1
          http_health_check: {host: end, method: POST, path: /quitquitquit}
    - name: self
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: self
        endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: {{ $sockets }}/drain.sock}}}}]}]
  listeners:
    - name: wait
      address:
        pipe: {path: {{ $sockets }}/wait.sock, mode: 384}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: wait
                stream_idle_timeout: 0s
                http_filters:
                  - name: envoy.filters.http.fault
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                      delay: {fixed_delay: {{ .seconds }}s, percentage: {numerator: 100}}
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
                route_config:
                  virtual_hosts:
                    - name: wait
                      domains: ["*"]
                      routes: [{match: {prefix: /}, route: {cluster: self, timeout: 0s}}]
{{- end }}
