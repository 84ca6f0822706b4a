{{- define "scheduler.name" -}}
{{- /* With -api it is a label's value, which has 63 characters at most. */}}
{{- .Values.nameOverride | default .Chart.Name | trunc 58 | trimSuffix "-" }}
{{- end }}

{{- /* With -metrics it is the name of a Service, which has 63 characters at most. */}}
{{- define "scheduler.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 55 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 55 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "scheduler.selector" -}}
app.kubernetes.io/name: {{ include "scheduler.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "scheduler.labels" -}}
{{ include "scheduler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- include "scheduler.commonLabels" . }}
{{- end }}

{{- /* Of the file server in each team namespace: Deployment, Service, and its pods' name label. */}}
{{- define "scheduler.files" -}}
adaf-reports-files
{{- end }}

{{- /* Another name than the operator's: its selectors are not to find these pods. */}}
{{- define "scheduler.filesLabels" -}}
app.kubernetes.io/name: {{ include "scheduler.files" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- include "scheduler.commonLabels" . }}
{{- end }}

{{- define "scheduler.filesSelector" -}}
app.kubernetes.io/name: {{ include "scheduler.files" . }}
{{- end }}

{{- /* The admin API's objects: Deployment, ServiceAccount, Roles, Service. */}}
{{- define "scheduler.api" -}}
{{ include "scheduler.fullname" . }}-api
{{- end }}

{{- /* Another name than the operator's: its selectors are not to find these pods. */}}
{{- define "scheduler.apiSelector" -}}
app.kubernetes.io/name: {{ printf "%s-api" (include "scheduler.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "scheduler.apiLabels" -}}
{{ include "scheduler.apiSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- include "scheduler.commonLabels" . }}
{{- end }}

{{- define "scheduler.testSelector" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "scheduler.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "scheduler.testLabels" -}}
{{ include "scheduler.testSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- include "scheduler.commonLabels" . }}
{{- end }}

{{- /* The namespaces that are watched, a YAML list; it is empty where all are. */}}
{{- define "scheduler.watched" -}}
{{- $named := .Values.config.watchNamespaces }}
{{- $teams := .Values.teamNamespaces }}
{{- if .Values.config.watchAllNamespaces }}
{{- if $named }}
{{- fail "config.watchAllNamespaces is true and config.watchNamespaces names some: one of them has to go" }}
{{- end }}
{{- list | toYaml }}
{{- else if $named }}
{{- range $teams }}
{{- if not (has . $named) }}
{{- fail (printf "teamNamespaces has %s, config.watchNamespaces has not: its schedules would never run; add it there too, or leave config.watchNamespaces empty, which takes teamNamespaces" .) }}
{{- end }}
{{- end }}
{{- $named | toYaml }}
{{- else if $teams }}
{{- $teams | toYaml }}
{{- else }}
{{- fail "teamNamespaces is empty: name the namespaces in which teams keep ReportSchedules, such as --set 'teamNamespaces={reports}'; config.watchAllNamespaces=true watches the whole cluster, with rights on all of it" }}
{{- end }}
{{- end }}

{{- /* Earlier versions watched the whole cluster by default: no schedule is to end without a word.
       To be included once: it reads all schedules. */}}
{{- define "scheduler.nobodyLeftOut" -}}
{{- $chosen := or .Values.config.watchAllNamespaces .Values.config.watchNamespaces }}
{{- if and .Release.IsUpgrade (not $chosen) (.Capabilities.APIVersions.Has "reports.adaf.io/v1alpha1/ReportSchedule") }}
{{- $left := dict }}
{{- range (lookup "reports.adaf.io/v1alpha1" "ReportSchedule" "" "").items }}
{{- if not (has .metadata.namespace $.Values.teamNamespaces) }}
{{- $_ := set $left .metadata.namespace true }}
{{- end }}
{{- end }}
{{- if $left }}
{{- fail (printf "teamNamespaces does not have %s, where there are ReportSchedules, which would never run again: add them to teamNamespaces, or say in config.watchNamespaces what is to be watched without them (config.watchAllNamespaces=true watches the whole cluster, as versions before did)" (keys $left | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The policy on what a ReportSchedule names, and its binding. */}}
{{- define "scheduler.referencePolicy" -}}
{{ include "scheduler.fullname" . }}-reference-access
{{- end }}

{{/* CEL: the name of a Secret behind a variable, a path of optional fields and a reference. */}}
{{- define "scheduler.namedSecret" -}}
{{- $checks := list }}
{{- $at := index . 0 }}
{{- range $step := append (splitList "." (index . 1)) (index . 2) }}
{{- $at = printf "%s.%s" $at $step }}
{{- $checks = append $checks (printf "has(%s)" $at) }}
{{- end }}
{{- join " && " $checks }} ? string({{ $at }}.name) : ''
{{- end }}

{{- /* Where the admin API finds the secret of the proxy before it. */}}
{{- define "scheduler.proxyDirectory" -}}
/etc/report-scheduler-secrets/proxy
{{- end }}

{{- /* The section of the configuration about that proxy; empty where there is none. */}}
{{- define "scheduler.apiProxy" -}}
{{- $proxy := .Values.adminApi.proxy }}
{{- if and .Values.adminApi.enabled $proxy.enabled }}
{{- if not .Values.adminApi.network }}
{{- fail "adminApi.proxy.enabled needs adminApi.network: the proxy is another pod" }}
{{- end }}
{{- if not $proxy.existingSecret }}
{{- fail "adminApi.proxy.existingSecret is empty: without a secret everybody could name himself in a header; make one: kubectl create secret generic report-proxy --from-literal=secret=$(openssl rand -hex 32)" }}
{{- end }}
{{- if not $proxy.hosts }}
{{- fail "adminApi.proxy.hosts is empty: name the hosts of the page as the browser's address has them, such as [reports.example.com]" }}
{{- end }}
{{- $section := pick $proxy "secretHeader" "userHeader" "groupsHeader" "prefix" "hosts" }}
{{- dict "apiProxy" (set $section "secret" (include "scheduler.proxyDirectory" .)) | toYaml }}
{{- end }}
{{- end }}
