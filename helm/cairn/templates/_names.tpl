{{/* Name of everything in this release. */}}
{{- define "cairn.name" -}}
{{- ternary .Release.Name (printf "%s-cairn" .Release.Name) (contains "cairn" .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Labels that never change: argument (list context component). */}}
{{- define "cairn.selector" -}}
{{- $context := index . 0 -}}
app.kubernetes.io/name: cairn
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels: argument (list context component). */}}
{{- define "cairn.labels" -}}
{{- $context := index . 0 -}}
{{ include "cairn.selector" . }}
app.kubernetes.io/version: {{ $context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $context.Chart.Name $context.Chart.Version }}
{{- end }}

{{/* Image: argument (list context name). */}}
{{- define "cairn.image" -}}
{{- $images := (index . 0).Values.images -}}
{{- if $images.prefix }}{{ trimSuffix "/" $images.prefix }}/{{ end }}{{ index . 1 }}:{{ $images.tag | default (index . 0).Chart.AppVersion }}
{{- end }}

{{/* Host of the public address. */}}
{{- define "cairn.host" -}}
{{- (urlParse .Values.publicUrl).host | splitList ":" | first }}
{{- end }}

{{- define "cairn.isHttps" -}}
{{- if hasPrefix "https://" .Values.publicUrl }}yes{{ end }}
{{- end }}
