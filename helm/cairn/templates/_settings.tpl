{{/* What is no secret of what app/config.py reads, as YAML. */}}
{{- define "cairn.settings" -}}
PUBLIC_URL: {{ .Values.publicUrl | quote }}
STORAGE_URL: {{ ternary .Values.storage.s3.url "file:///data" (eq .Values.storage.kind "s3") | quote }}
MAX_PHOTO_MB: {{ .Values.settings.maxPhotoMb | toString | quote }}
MAX_SURFACE_MB: {{ .Values.settings.maxSurfaceMb | int64 | toString | quote }}
MAX_SURVEY_PHOTOS: {{ .Values.settings.maxSurveyPhotos | toString | quote }}
SPREAD_PHOTOS: {{ .Values.settings.spreadPhotos | toString | quote }}
DIRECT_DOWNLOADS: {{ ternary "yes" "no" .Values.settings.directDownloads | quote }}
PROXIES: {{ .Values.settings.proxies | toString | quote }}
WEBHOOKS_TO_PRIVATE: {{ ternary "yes" "no" .Values.settings.webhooksToPrivate | quote }}
INBOX_URL: {{ .Values.settings.inboxUrl | quote }}
{{- if .Values.secrets.signOn.name }}
OIDC_ISSUER: {{ .Values.settings.signOn.issuer | quote }}
OIDC_CLIENT_ID: {{ .Values.settings.signOn.clientId | quote }}
OIDC_NAME: {{ .Values.settings.signOn.label | quote }}
{{- end }}
{{- if eq .Values.storage.kind "s3" }}
{{- with .Values.storage.s3.endpoint }}
AWS_ENDPOINT_URL_S3: {{ . | quote }}
{{- end }}
{{- with .Values.storage.s3.region }}
AWS_REGION: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* An entry of a secret: argument (list variable secret key). */}}
{{- define "cairn.secret" -}}
- name: {{ index . 0 }}
  valueFrom: {secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}}
{{- end }}

{{/* The secrets that app/config.py reads: argument (list context databaseHost). */}}
{{- define "cairn.secrets" -}}
{{- $context := index . 0 -}}
{{- $v := $context.Values -}}
{{- $name := include "cairn.name" $context -}}
{{ include "cairn.secret" (list "SECRET_KEY" $v.secrets.application.name $v.secrets.application.key) }}
{{- if $v.secrets.mail.name }}
{{ include "cairn.secret" (list "MAIL_URL" $v.secrets.mail.name $v.secrets.mail.key) }}
{{- end }}
{{- if $v.secrets.signOn.name }}
{{ include "cairn.secret" (list "OIDC_CLIENT_SECRET" $v.secrets.signOn.name $v.secrets.signOn.key) }}
{{- end }}
{{- if eq $v.database.kind "external" }}
{{ include "cairn.secret" (list "DATABASE_URL" $v.database.external.name $v.database.external.key) }}
{{- else }}
{{ include "cairn.secret" (list "DATABASE_USER" (printf "%s-database-app" $name) "username") }}
{{ include "cairn.secret" (list "DATABASE_PASSWORD" (printf "%s-database-app" $name) "password") }}
- name: DATABASE_URL
  value: postgresql://$(DATABASE_USER):$(DATABASE_PASSWORD)@{{ index . 1 }}:5432/cairn
{{- end }}
{{- if eq $v.queue.kind "external" }}
{{ include "cairn.secret" (list "REDIS_URL" $v.queue.external.name $v.queue.external.key) }}
{{- else }}
{{ include "cairn.secret" (list "VALKEY_PASSWORD" $v.queue.internal.name $v.queue.internal.key) }}
- name: REDIS_URL
  value: redis://:$(VALKEY_PASSWORD)@{{ $name }}-valkey:6379/0
{{- end }}
{{- if and (eq $v.storage.kind "s3") $v.storage.s3.name }}
{{ include "cairn.secret" (list "AWS_ACCESS_KEY_ID" $v.storage.s3.name $v.storage.s3.accessKeyId) }}
{{ include "cairn.secret" (list "AWS_SECRET_ACCESS_KEY" $v.storage.s3.name $v.storage.s3.secretAccessKey) }}
{{- end }}
{{- end }}

{{/* Where web, workers and scheduler find the database: the pooler, if there is one. */}}
{{- define "cairn.databaseHost" -}}
{{- include "cairn.name" . }}-{{ ternary "pooler" "database-rw" .Values.database.cluster.pooler.enabled }}
{{- end }}

{{/* Environment of the application's containers. */}}
{{- define "cairn.environment" -}}
envFrom:
  - configMapRef: {name: {{ include "cairn.name" . }}-settings}
env:
  {{- include "cairn.secrets" (list . (include "cairn.databaseHost" .)) | nindent 2 }}
{{- end }}
