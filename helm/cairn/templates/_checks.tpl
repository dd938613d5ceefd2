{{/* What cannot work is refused here, with what to do about it. One line a rule. */}}
{{- define "cairn.checks" -}}
{{- $v := .Values -}}
{{- $https := include "cairn.isHttps" . -}}
{{- if not $v.publicUrl }}{{ fail "publicUrl is empty: set the address that people type, as in https://volumes.example.org" }}{{ end }}
{{- if not $v.secrets.application.name }}{{ fail "secrets.application.name is empty: name the secret that holds the key of cookies and links" }}{{ end }}
{{- $signOn := $v.settings.signOn }}
{{- if and $v.secrets.signOn.name (not (and $signOn.issuer $signOn.clientId)) }}{{ fail "secrets.signOn.name needs settings.signOn.issuer and settings.signOn.clientId: name the provider and the client" }}{{ end }}
{{- if and (or $signOn.issuer $signOn.clientId) (not $v.secrets.signOn.name) }}{{ fail "settings.signOn needs secrets.signOn.name: the secret that holds the client's secret" }}{{ end }}
{{- include "cairn.checks.database" . }}
{{- include "cairn.checks.queue" . }}
{{- include "cairn.checks.storage" . }}
{{- if and $v.ingress.enabled $v.gateway.enabled }}{{ fail "ingress.enabled and gateway.enabled exclude each other: choose one way to the web" }}{{ end }}
{{- if and $v.ingress.enabled $https (not $v.ingress.tlsSecret) }}{{ fail "publicUrl is https but ingress.tlsSecret is empty: name the secret of the certificate" }}{{ end }}
{{- if and $v.ingress.enabled (not $https) $v.ingress.tlsSecret }}{{ fail "ingress.tlsSecret is set but publicUrl is http: make it https" }}{{ end }}
{{- if and $v.gateway.enabled (not $v.gateway.name) (not $v.gateway.className) }}{{ fail "gateway.enabled needs gateway.name of an existing Gateway or gateway.className of one to make" }}{{ end }}
{{- if and $v.gateway.enabled $v.gateway.name $v.gateway.className }}{{ fail "gateway.name and gateway.className exclude each other: use an existing Gateway or make one" }}{{ end }}
{{- if and $v.gateway.enabled $v.gateway.className $https (not $v.gateway.tlsSecret) }}{{ fail "publicUrl is https but gateway.tlsSecret is empty: name the secret of the certificate" }}{{ end }}
{{- if and $v.monitoring.alerts (not $v.monitoring.serviceMonitor) }}{{ fail "monitoring.alerts needs monitoring.serviceMonitor: without it there is nothing to alert on" }}{{ end }}
{{- include "cairn.checks.network" . }}
{{- include "cairn.checks.web" $v.web }}
{{- include "cairn.checks.workers" $v.workers }}
{{- end }}

{{- define "cairn.checks.database" -}}
{{- $database := .Values.database -}}
{{- $web := .Values.web -}}
{{- if and (eq $database.kind "external") (not $database.external.name) }}{{ fail "database.kind is external but database.external.name is empty: name the secret that holds its address" }}{{ end }}
{{- if eq $database.kind "cluster" }}
{{- with $database.cluster }}
{{- $name := printf "%s-database" (include "cairn.name" $) -}}
{{- $pooled := mul .pooler.instances .pooler.poolSize -}}
{{- $direct := mul (ternary $web.autoscaling.max $web.replicas $web.autoscaling.enabled) $web.processes 8 -}}
{{- if not .image }}{{ fail "database.kind is cluster but database.cluster.image is empty: name a PostgreSQL image with PostGIS" }}{{ end }}
{{- if and .pooler.enabled (gt $pooled 90) }}{{ fail (printf "database.cluster.pooler: instances x poolSize is %d, but the primary takes 100 connections: keep to 90" $pooled) }}{{ end }}
{{- if and (not .pooler.enabled) (gt $direct 70) }}{{ fail (printf "database.cluster.pooler is off, and the web may open %d of the primary's 100 connections (pods x web.processes x 8): keep to 70, or switch it on" $direct) }}{{ end }}
{{- if and .backup.enabled (not .backup.destination) }}{{ fail "database.cluster.backup.enabled needs database.cluster.backup.destination, as in s3://bucket/folder" }}{{ end }}
{{- if and .backup.enabled (not .backup.credentials.name) }}{{ fail "database.cluster.backup.enabled needs database.cluster.backup.credentials.name: the secret of the store" }}{{ end }}
{{- if and .restore.serverName (not .backup.enabled) }}{{ fail "database.cluster.restore.serverName needs database.cluster.backup: the store that the backups lie in" }}{{ end }}
{{- if and .restore.serverName (eq .restore.serverName (.backup.serverName | default $name)) }}{{ fail (printf "database.cluster.restore.serverName is where the new cluster writes its own backups (%s): give database.cluster.backup.serverName another name" .restore.serverName) }}{{ end }}
{{- if and .restore.targetTime (not .restore.serverName) }}{{ fail "database.cluster.restore.targetTime needs database.cluster.restore.serverName: the backups to restore" }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cairn.checks.queue" -}}
{{- $queue := .Values.queue -}}
{{- if and (eq $queue.kind "internal") (not $queue.internal.name) }}{{ fail "queue.kind is internal but queue.internal.name is empty: name the secret that holds its password" }}{{ end }}
{{- if eq $queue.kind "external" }}
{{- if not $queue.external.name }}{{ fail "queue.kind is external but queue.external.name is empty: name the secret that holds its address" }}{{ end }}
{{- if and .Values.workers.autoscaling (not $queue.external.address) }}{{ fail "workers.autoscaling needs queue.external.address (host:port): KEDA reads the queues there" }}{{ end }}
{{- end }}
{{- end }}

{{- define "cairn.checks.storage" -}}
{{- $storage := .Values.storage -}}
{{- if and (eq $storage.kind "s3") (not $storage.s3.url) }}{{ fail "storage.kind is s3 but storage.s3.url is empty: set it as in s3://bucket/folder" }}{{ end }}
{{- if eq $storage.kind "volume" }}
{{- if not (or $storage.volume.existingClaim $storage.volume.storageClass) }}{{ fail "storage.kind is volume but neither storage.volume.existingClaim nor storage.volume.storageClass is set" }}{{ end }}
{{- if and (eq $storage.volume.accessMode "ReadWriteOnce") (or .Values.web.autoscaling.enabled .Values.workers.autoscaling) }}{{ fail "storage.volume.accessMode is ReadWriteOnce, so all pods must be on one node: switch web.autoscaling.enabled and workers.autoscaling off, or take ReadWriteMany or s3" }}{{ end }}
{{- end }}
{{- end }}

{{- define "cairn.checks.network" -}}
{{- $v := .Values -}}
{{- if $v.network.policies.enabled }}
{{- $ports := list -}}
{{- range $v.network.policies.egressPorts }}{{ $ports = append $ports (toString .) }}{{ end }}
{{- $addresses := dict "settings.signOn.issuer" $v.settings.signOn.issuer -}}
{{- if eq $v.storage.kind "s3" }}{{ $_ := set $addresses "storage.s3.endpoint" $v.storage.s3.endpoint }}{{ end }}
{{- if eq $v.queue.kind "external" }}{{ $_ := set $addresses "queue.external.address" $v.queue.external.address }}{{ end }}
{{- range $name, $address := $addresses }}
{{- $usual := ternary "80" "443" (hasPrefix "http://" $address) -}}
{{- $port := regexFind ":[0-9]+" (regexReplaceAll "^[a-z]+://" $address "") | trimPrefix ":" | default $usual -}}
{{- if and $address (not (has $port $ports)) }}{{ fail (printf "network.policies.egressPorts lacks %s, the port of %s: pods could not reach it" $port $name) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cairn.checks.web" -}}
{{- if .autoscaling.enabled }}
{{- if gt (int .autoscaling.min) (int .autoscaling.max) }}{{ fail (printf "web.autoscaling.min (%v) is more than web.autoscaling.max (%v)" .autoscaling.min .autoscaling.max) }}{{ end }}
{{- if not (dig "requests" "cpu" "" .resources) }}{{ fail "web.autoscaling needs web.resources.requests.cpu: the load is a share of it" }}{{ end }}
{{- end }}
{{- end }}

{{- define "cairn.checks.workers" -}}
{{- $autoscaling := .autoscaling -}}
{{- $taken := dict -}}
{{- range $name, $pool := .pools }}
{{- if not $pool.queues }}{{ fail (printf "workers.pools.%s.queues is empty: such workers would do nothing" $name) }}{{ end }}
{{- if gt (int $pool.min) (int $pool.max) }}{{ fail (printf "workers.pools.%s: min (%v) is more than max (%v)" $name $pool.min $pool.max) }}{{ end }}
{{- if and (not $autoscaling) (eq (int $pool.min) 0) }}{{ fail (printf "workers.pools.%s.min is 0 and workers.autoscaling is off: nobody would ever do its work" $name) }}{{ end }}
{{- if not (and (dig "requests" "cpu" "" $pool.resources) (dig "requests" "memory" "" $pool.resources)) }}{{ fail (printf "workers.pools.%s.resources needs requests of cpu and memory: they say what a worker can hold" $name) }}{{ end }}
{{- range $pool.queues }}
{{- if hasKey $taken . }}{{ fail (printf "the queue %s is in two pools (%s and %s): its length would be counted twice" . (get $taken .) $name) }}{{ end }}
{{- $_ := set $taken . $name }}
{{- end }}
{{- end }}
{{- end }}
