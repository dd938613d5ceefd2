{{/* What all pods have in common; nobody is root, nobody talks to the cluster's API. */}}
{{- define "cairn.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What all containers have in common. */}}
{{- define "cairn.container" -}}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Volumes of the application's pods besides /tmp. */}}
{{- define "cairn.dataMount" -}}
{{- if eq .Values.storage.kind "volume" }}
- name: data
  mountPath: /data
{{- end }}
{{- end }}

{{- define "cairn.dataVolume" -}}
{{- if eq .Values.storage.kind "volume" }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.storage.volume.existingClaim | default (printf "%s-data" (include "cairn.name" .)) }}
{{- end }}
{{- end }}

{{/* Where pods may be: argument an object with nodeSelector, tolerations and affinity. */}}
{{- define "cairn.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Pods of a kind in different zones and on different nodes, as far as that goes: argument (list context component). */}}
{{- define "cairn.spread" -}}
{{- $component := . -}}
topologySpreadConstraints:
  {{- range (list "topology.kubernetes.io/zone" "kubernetes.io/hostname") }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "cairn.selector" $component | nindent 8 }}
  {{- end }}
{{- end }}
