{{/*
An Envoy's ConfigMap and container. Edit this file in chart envoy: `npm run generate` copies it to chart atlas.
*/}}

{{/* Data of the ConfigMap. Takes what goatlas.envoy.bootstrap takes, and drainSeconds. */}}
{{- define "goatlas.envoy.files" -}}
envoy.yaml: |
  {{- include "goatlas.envoy.bootstrap" . | nindent 2 }}
drain.yaml: |
  {{- include "goatlas.envoy.drain" (dict "seconds" .drainSeconds) | nindent 2 }}
ads-credential.json: |
  {{- include "goatlas.envoy.credential" . | nindent 2 }}
ads-roots.json: |
  {{- include "goatlas.envoy.roots" . | nindent 2 }}
{{- end }}

{{/*
The container. Takes: values (the block with image, concurrency, logLevel, resources, securityContext), global, ports (of the container).
Startup and readiness wait for the configuration: an Envoy without one serves nothing but is healthy. Liveness begins after that; it asks a
worker and the main thread.
*/}}
{{- define "goatlas.envoy.container" -}}
{{- $directory := include "goatlas.envoy.directory" . -}}
name: envoy
image: {{ include "goatlas.envoy.image" (dict "image" .values.image "global" .global) }}
imagePullPolicy: {{ .values.image.pullPolicy }}
command: [/usr/local/bin/envoy]
args:
  - -c
  - {{ $directory }}/config/envoy.yaml
  - --service-node
  - $(POD_NAME)
  - --config-yaml
  - '{"node":{"metadata":{"atlas.local_address":"$(POD_IP)"}}}'
  - --drain-time-s
  - "20"
  - --disable-hot-restart
  - --concurrency
  - {{ .values.concurrency | quote }}
  - --log-level
  - {{ .values.logLevel }}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_IP
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
ports:
  {{- range .ports }}
  - {{ toJson . }}
  {{- end }}
  - {name: stats, containerPort: {{ include "goatlas.envoy.statsPort" . }}, protocol: TCP}
startupProbe:
  httpGet: {path: /ready, port: stats}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 720
readinessProbe:
  httpGet: {path: /ready, port: stats}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /ready, port: stats}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
lifecycle:
  preStop:
    exec:
      command: [/usr/local/bin/envoy, -c, {{ $directory }}/config/drain.yaml, --disable-hot-restart, --concurrency, "1", --log-level, warning]
resources:
  {{- toYaml .values.resources | nindent 2 }}
securityContext:
  {{- toYaml .values.securityContext | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: {{ $directory }}/config, readOnly: true}
  - {name: sds, mountPath: {{ $directory }}/sds, readOnly: true}
  - {name: certs, mountPath: {{ $directory }}/certs, readOnly: true}
  {{- if .values.upstreamTls }}
  - {name: upstream, mountPath: {{ $directory }}/upstream, readOnly: true}
  {{- end }}
  - {name: sockets, mountPath: {{ include "goatlas.envoy.sockets" . }}}
{{- end }}

{{/*
The volumes. Takes: config (name of the ConfigMap), secret (name of the Secret: tls.crt, tls.key, ca.crt), upstreamTls (list, or none).
288 is 0440.
*/}}
{{- define "goatlas.envoy.volumes" -}}
- name: config
  configMap:
    name: {{ .config }}
    items:
      - {key: envoy.yaml, path: envoy.yaml}
      - {key: drain.yaml, path: drain.yaml}
- name: sds
  configMap:
    name: {{ .config }}
    items:
      - {key: ads-credential.json, path: ads-credential.json}
      - {key: ads-roots.json, path: ads-roots.json}
- name: sockets
  emptyDir: {}
# The pod waits until the Secret exists: Envoy would never recover from a missing file.
- name: certs
  secret:
    secretName: {{ .secret }}
    defaultMode: 288
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      - {key: ca.crt, path: ca.crt}
{{- with .upstreamTls }}
- name: upstream
  projected:
    defaultMode: 288
    sources:
      {{- range . }}
      {{- $name := .name }}
      {{- if .ca.secret }}
      - secret: {name: {{ .ca.secret }}, items: [{key: {{ .ca.key | default "ca.crt" | quote }}, path: {{ .name }}/ca.crt}]}
      {{- else }}
      - configMap: {name: {{ .ca.configMap }}, items: [{key: {{ .ca.key | default "ca.crt" | quote }}, path: {{ .name }}/ca.crt}]}
      {{- end }}
      {{- with .client }}
      - secret:
          name: {{ .secret }}
          items:
            - {key: {{ .certificateKey | default "tls.crt" | quote }}, path: {{ $name }}/tls.crt}
            - {key: {{ .keyKey | default "tls.key" | quote }}, path: {{ $name }}/tls.key}
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}

{{/*
An image, by digest if one is set, else by tag. Takes: image, global. As in other charts, global.imageRegistry replaces the registry of every
image, which is the first part of a repository where that has a dot or a port, or is localhost.
*/}}
{{- define "goatlas.envoy.image" -}}
{{- $repository := .image.repository -}}
{{- with (default dict .global).imageRegistry -}}
{{- $parts := splitList "/" $repository -}}
{{- if and (gt (len $parts) 1) (regexMatch "[.:]|^localhost$" (first $parts)) -}}{{- $parts = rest $parts -}}{{- end -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) -}}
{{- end -}}
{{- if .image.digest -}}{{ printf "%s@%s" $repository .image.digest | quote }}{{- else -}}{{ printf "%s:%s" $repository .image.tag | quote }}{{- end }}
{{- end }}

{{/* The imagePullSecrets of a pod: global ones, then the chart's own. Takes: own, global. Global ones may be names, as in other charts. */}}
{{- define "goatlas.envoy.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (default list (default dict .global).imagePullSecrets) .own -}}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Labels or annotations of a pod as YAML: its own, and those that keep meshes from injecting a sidecar, which its own replace. Empty: none.
Takes: own, mesh.
*/}}
{{- define "goatlas.envoy.marks" -}}
{{- with merge (dict) (default dict .own) (default dict .mesh) }}{{ toYaml . }}{{ end -}}
{{- end }}
