{{/* Names and labels of this chart's objects. */}}

{{/* A name of at most 63 characters that a Service may have too: it begins with a letter, and long names end in a part of their hash. */}}
{{- define "atlas-envoy.fit" -}}
{{- $name := replace "." "-" . -}}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "r%s" $name }}{{ end -}}
{{- if gt (len $name) 63 }}{{ $name = printf "%s-%s" ($name | trunc 54 | trimSuffix "-") (sha256sum . | trunc 8) }}{{ end -}}
{{- $name -}}
{{- end }}

{{- define "atlas-envoy.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- include "atlas-envoy.fit" .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- include "atlas-envoy.fit" .Release.Name -}}
{{- else -}}
{{- include "atlas-envoy.fit" (printf "%s-%s" .Release.Name $name) -}}
{{- end -}}
{{- end }}

{{/* Must never change, because the selector of a Deployment cannot. */}}
{{- define "atlas-envoy.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: envoy
{{- end }}

{{- define "atlas-envoy.labels" -}}
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

{{/* Labels of a pod. None depends on the chart's version, so that an upgrade that changes nothing else restarts nothing. */}}
{{- define "atlas-envoy.podLabels" -}}
{{ include "atlas-envoy.selectorLabels" . }}
app.kubernetes.io/part-of: atlas
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The ports of the Service: those that this Envoy serves, unless `ports` is set. As YAML, key `ports`. */}}
{{- define "atlas-envoy.ports" -}}
{{- if .Values.ports -}}
{{- dict "ports" .Values.ports | toYaml -}}
{{- else if eq .Values.cluster "atlas" -}}
ports: [{name: ads, port: 10900}, {name: alerts, port: 10903}]
{{- else -}}
ports: [{name: thanos, port: 11901}, {name: thanos-pages, port: 11902}, {name: alertmanager, port: 11903}, {name: prometheus, port: 11904}]
{{- end -}}
{{- end }}

{{/* The Service to which the Prometheus of this cluster sends alerts. Empty: there is none. */}}
{{- define "atlas-envoy.alerts.name" -}}
{{- if and .Values.alerts.enabled (ne .Values.cluster "atlas") -}}
{{- include "atlas-envoy.fit" (printf "%s-alerts" (include "atlas-envoy.fullname" .)) -}}
{{- end -}}
{{- end }}

{{/* The namespace of that Prometheus. */}}
{{- define "atlas-envoy.alerts.namespace" -}}{{ default .Release.Namespace .Values.alerts.prometheusNamespace }}{{- end }}

{{/* The files of this Envoy. */}}
{{- define "atlas-envoy.files" -}}
{{- include "goatlas.envoy.files" (dict
  "cluster" .Values.cluster
  "addresses" .Values.ads.addresses
  "serverName" .Values.ads.serverName
  "serverUri" .Values.ads.serverUri
  "bindAddress" .Values.bindAddress
  "maxHeapBytes" .Values.maxHeapBytes
  "concurrency" .Values.concurrency
  "openFiles" .Values.openFiles
  "upstreamTls" .Values.upstreamTls
  "drainSeconds" .Values.drainSeconds) }}
{{- end }}
