{{/*
Names, labels and parts of this chart's objects. Two names are fixed, because Atlas uses them: Service `atlas-ads` and Role
`atlas-cluster-admin`. This chart has no object that Atlas itself writes (ConfigMaps `atlas-fleet`, `atlas-coredns`, all its Secrets …).
*/}}

{{/*
A name of at most 63 characters that a Service may have too: it begins with a letter, and long names end in a part of their hash.
Takes: name, and max if less than 63.
*/}}
{{- define "atlas.fit" -}}
{{- $max := default 63 .max | int -}}
{{- $name := replace "." "-" .name -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "r%s" $name }}{{ end -}}
{{- if gt (len $name) $max }}{{ $name = printf "%s-%s" ($name | trunc (int (sub $max 9)) | trimSuffix "-") (sha256sum .name | trunc 8) }}{{ end -}}
{{- $name -}}
{{- end }}

{{- define "atlas.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end }}

{{- define "atlas.ads.name" -}}
{{- /* a label of its pods holds this name and a hash of ten characters */ -}}
{{- include "atlas.fit" (dict "name" (printf "%s-ads" (include "atlas.fullname" .)) "max" 52) -}}
{{- end }}
{{- define "atlas.controller.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-controller" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.envoy.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-envoy" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.init.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-init" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.test.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-test" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.dns.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-dns" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.external.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-external" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.internal.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-internal" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.clients.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-clients" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.pages.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-pages" (include "atlas.fullname" .))) }}{{- end }}
{{- define "atlas.metrics.name" -}}{{ include "atlas.fit" (dict "name" (printf "%s-metrics" (include "atlas.fullname" .))) }}{{- end }}

{{/* The host names of the web pages as a YAML list: `hosts`, or the web domain with a wildcard for each kind of page. Takes: root, hosts. */}}
{{- define "atlas.pages.hosts" -}}
{{- $domain := .root.Values.webDomain -}}
{{- $derived := list -}}
{{- if $domain -}}
{{- $derived = list $domain (printf "*.prom.%s" $domain) (printf "*.alertmanager.%s" $domain) (printf "*.thanos.%s" $domain) -}}
{{- end -}}
{{- default $derived .hosts | toYaml -}}
{{- end }}

{{- define "atlas.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: atlas
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Must never change, because selectors cannot. Takes: root, component. */}}
{{- define "atlas.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/*
Labels of a pod. None depends on the chart's version, so that an upgrade that changes nothing else restarts nothing.
Takes: root, component, values (its block).
*/}}
{{- define "atlas.podLabels" -}}
{{ include "atlas.selectorLabels" . }}
app.kubernetes.io/part-of: atlas
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with include "goatlas.envoy.marks" (dict "own" .values.podLabels "mesh" .root.Values.mesh.labels) }}
{{ . }}
{{- end }}
{{- end }}

{{/* Annotations of a pod as YAML. Takes: root, values (its block). */}}
{{- define "atlas.podAnnotations" -}}
{{- include "goatlas.envoy.marks" (dict "own" .values.podAnnotations "mesh" .root.Values.mesh.annotations) -}}
{{- end }}

{{- define "atlas.thanosNamespace" -}}{{ default .Release.Namespace .Values.thanosNamespace }}{{- end }}

{{/* The image of `atlas`: by digest if one is set, else by tag, whose default is the chart's appVersion. */}}
{{- define "atlas.image" -}}
{{- $image := .Values.image -}}
{{- $image = dict "repository" $image.repository "digest" $image.digest "tag" (default .Chart.AppVersion $image.tag) -}}
{{- include "goatlas.envoy.image" (dict "image" $image "global" .Values.global) -}}
{{- end }}

{{/* What all pods have in common. Takes: root, component, values, matchLabelKeys (for the spread). */}}
{{- define "atlas.podSpec" -}}
enableServiceLinks: false
{{- with include "goatlas.envoy.pullSecrets" (dict "own" .root.Values.imagePullSecrets "global" .root.Values.global) }}
{{ . }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  {{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- $of := . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "atlas.selectorLabels" $of | nindent 8 }}
    {{- with $of.matchLabelKeys }}
    matchLabelKeys: [{{ . }}]
    {{- end }}
  {{- end }}
  {{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The container of a server. Readiness asks the server whether it is ready; liveness only whether it answers. Takes: root, role, values.
*/}}
{{- define "atlas.server" -}}
name: atlas
image: {{ include "atlas.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args:
  - serve
  - --role
  - {{ .role }}
  - --namespace
  - {{ .root.Release.Namespace }}
  - --replica
  - $(POD_NAME)
  {{- if eq .role "ads" }}
  - --listen
  - {{ printf "%s:6305" .root.Values.bindAddress | quote }}
  - --pages-listen
  - {{ printf "%s:6306" .root.Values.bindAddress | quote }}
  - --streams-per-cluster
  - {{ .values.streamsPerCluster | quote }}
  {{- end }}
  {{- if and (eq .role "controller") (not .root.Values.dnsZone.enabled) }}
  - --no-dns-zone
  {{- end }}
  - --admin
  - {{ printf "%s:6309" .root.Values.bindAddress | quote }}
  - --log-level
  - {{ .values.logLevel }}
  {{- range $name, $value := .values.times }}
  - --time
  - {{ printf "%s=%s" $name $value | quote }}
  {{- end }}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
ports:
  {{- if eq .role "ads" }}
  - {name: ads, containerPort: 6305, protocol: TCP}
  - {name: pages, containerPort: 6306, protocol: TCP}
  {{- end }}
  - {name: admin, containerPort: 6309, protocol: TCP}
startupProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /healthz, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
resources:
  {{- toYaml .values.resources | nindent 2 }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
{{- end }}

{{/* A PodDisruptionBudget, if there is more than one replica: for a single one it would only block the drain of a node. Takes: root, component, name, values. */}}
{{- define "atlas.budget" -}}
{{- if gt (int .values.replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "atlas.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "atlas.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/*
Fails if these values differ from those of the existing installation: with another trust domain its Envoy would trust no client, and with
another namespace of Thanos its controller would have no right there. Works in install and upgrade only: `helm template` sees no cluster.
*/}}
{{- define "atlas.agrees" -}}
{{- $installed := get (lookup "v1" "ConfigMap" .Release.Namespace "atlas-fleet") "data" | default dict -}}
{{- range $value, $wanted := dict "trustDomain" .Values.trustDomain "clusterDomain" .Values.clusterDomain "thanosNamespace" (include "atlas.thanosNamespace" .) "adsPort" (toString .Values.adsPort) "alertsPort" (toString .Values.alertsPort) -}}
{{- $found := get $installed (kebabcase $value) -}}
{{- if and $found (ne $found $wanted) -}}
{{- fail (printf "%s is %q here, and %q in the installation of this namespace (ConfigMap atlas-fleet): set %s=%s" $value $wanted $found $value $found) -}}
{{- end -}}
{{- end -}}
{{- $domain := get $installed "web-domain" -}}
{{- if and $installed .Values.webDomain (ne $domain .Values.webDomain) -}}
{{- fail (printf "webDomain is %q here, and %q in the installation of this namespace (ConfigMap atlas-fleet): run atlas init --namespace %s --web-domain %s" .Values.webDomain $domain .Release.Namespace .Values.webDomain) -}}
{{- end -}}
{{- if and $installed .Values.service.clients.enabled -}}
{{- $secured := splitList "," (get $installed "internal-tls") -}}
{{- range .Values.internalTls -}}
{{- if not (has (toString .) $secured) -}}
{{- fail (printf "service.clients would expose port %v, which speaks plaintext here: switch it on first with atlas init --namespace %s --internal-tls %v" . $.Release.Namespace .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
