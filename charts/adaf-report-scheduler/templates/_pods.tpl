{{- /* What all pods of the release have in common. A component is (dict "root" $ "own" its values
       "selector" the name of a template): operator (own: .Values), adminApi, postgres, redis, fileServer. */}}

{{- /* (dict "root" $ "image" .Values.image): REGISTRY/REPOSITORY, which a global registry leads. */}}
{{- define "scheduler.repository" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry }}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}{{ .image.repository }}
{{- end }}

{{- /* The same with tag or digest. A digest says which image it is, whatever the tag. */}}
{{- define "scheduler.imageOf" -}}
{{ include "scheduler.repository" . }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "scheduler.image" -}}
{{ include "scheduler.imageOf" (dict "root" . "image" .Values.image) }}
{{- end }}

{{- /* Names of the Secrets that the release's pods pull with, a YAML list. */}}
{{- define "scheduler.releasePullSecrets" -}}
{{- $names := list }}
{{- range concat (.Values.global.imagePullSecrets | default list) .Values.imagePullSecrets }}
{{- $names = append $names .name }}
{{- end }}
{{- $names | uniq | toYaml }}
{{- end }}

{{- /* And those of runs: their own, or the same. */}}
{{- define "scheduler.pullSecrets" -}}
{{- with .Values.config.runner.imagePullSecrets }}
{{- toYaml . }}
{{- else }}
{{- include "scheduler.releasePullSecrets" . }}
{{- end }}
{{- end }}

{{- /* "true" where the platform assigns users and groups. */}}
{{- define "scheduler.arbitraryUser" -}}
{{- $wanted := .Values.arbitraryUser | toString }}
{{- if eq $wanted "auto" }}
{{- .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- else }}
{{- $wanted }}
{{- end }}
{{- end }}

{{- define "scheduler.runsArbitraryUser" -}}
{{- or .Values.config.runner.arbitraryUser (eq (include "scheduler.arbitraryUser" .) "true") }}
{{- end }}

{{- /* (list map map …) as one: later ones count, null takes a key out. */}}
{{- define "scheduler.layered" -}}
{{- $found := dict }}
{{- range . }}
{{- range $key, $value := . | default dict }}
{{- if kindIs "invalid" $value }}
{{- $_ := unset $found $key }}
{{- else }}
{{- $_ := set $found $key $value }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- define "scheduler.podSecurityContext" -}}
{{- $context := include "scheduler.layered" (list .root.Values.podSecurityContext .own.podSecurityContext) | fromYaml }}
{{- if eq (include "scheduler.arbitraryUser" .root) "true" }}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{- define "scheduler.containerSecurityContext" -}}
{{- include "scheduler.layered" (list .root.Values.containerSecurityContext .own.containerSecurityContext) }}
{{- end }}

{{- /* Fields of a pod's spec: the component's own, or those of all pods where it has null. */}}
{{- define "scheduler.podSettings" -}}
{{- $root := .root }}
{{- $own := .own }}
{{- $settings := dict "securityContext" (include "scheduler.podSecurityContext" . | fromYaml) }}
{{- range $key := list "priorityClassName" "nodeSelector" "tolerations" }}
{{- $value := get $root.Values $key }}
{{- if and (hasKey $own $key) (not (kindIs "invalid" (get $own $key))) }}
{{- $value = get $own $key }}
{{- end }}
{{- with $value }}
{{- $_ := set $settings $key . }}
{{- end }}
{{- end }}
{{- with $own.affinity }}
{{- $_ := set $settings "affinity" . }}
{{- else }}
{{- if gt (int $own.replicas) 1 }}
{{- $apart := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include .selector .of | fromYaml)) }}
{{- $prefer := list (dict "weight" 100 "podAffinityTerm" $apart) }}
{{- $_ := set $settings "affinity" (dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $prefer)) }}
{{- end }}
{{- end }}
{{- $spread := list }}
{{- range $constraint := $own.topologySpreadConstraints | default list }}
{{- $selector := dict "matchLabels" (include $.selector $.of | fromYaml) }}
{{- $spread = append $spread (merge (dict) $constraint (dict "labelSelector" $selector)) }}
{{- end }}
{{- with $spread }}
{{- $_ := set $settings "topologySpreadConstraints" . }}
{{- end }}
{{- $pull := list }}
{{- range include "scheduler.releasePullSecrets" $root | fromYamlArray }}
{{- $pull = append $pull (dict "name" .) }}
{{- end }}
{{- with $pull }}
{{- $_ := set $settings "imagePullSecrets" . }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{- /* (list default own): a probe, of which values may change the times. */}}
{{- define "scheduler.probe" -}}
{{- include "scheduler.layered" (list (index . 0 | fromYaml) (index . 1)) }}
{{- end }}

{{- /* Lists that values add to, each with its own indentation; empty where there is nothing. */}}
{{- define "scheduler.items" -}}
{{- with . }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "scheduler.commonLabels" -}}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* (list labels podLabels …), of which the first counts: a selector has to find its pods. */}}
{{- define "scheduler.podLabels" -}}
{{- include "scheduler.layered" (reverse .) }}
{{- end }}

{{- /* The accounts: made here, or named where somebody else makes them. */}}
{{- define "scheduler.account" -}}
{{- include "scheduler.accountName" (list "serviceAccount" .Values.serviceAccount (include "scheduler.fullname" .)) }}
{{- end }}

{{- define "scheduler.apiAccount" -}}
{{- $name := include "scheduler.accountName" (list "adminApi.serviceAccount" .Values.adminApi.serviceAccount (include "scheduler.api" .)) }}
{{- if eq $name (include "scheduler.account" .) }}
{{- fail (printf "adminApi.serviceAccount.name and serviceAccount.name are both %q: what the network reaches would have the operator's rights; give each its own" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "scheduler.accountName" -}}
{{- $name := index . 1 "name" }}
{{- if not (or $name (index . 1 "create")) }}
{{- fail (printf "%s.create is false: name the account that is there in %s.name" (index . 0) (index . 0)) }}
{{- end }}
{{- if eq $name "default" }}
{{- fail (printf "%s.name is default, which every pod of the namespace has: rights and policies would be theirs too" (index . 0)) }}
{{- end }}
{{- $name | default (index . 2) }}
{{- end }}

{{- /* Rules of a NetworkPolicy, a YAML list: destinations as values.schema.json has them. */}}
{{- define "scheduler.egressTo" -}}
{{- range . }}
- to:
    {{- if .cidr }}
    - ipBlock:
        cidr: {{ .cidr | quote }}
        {{- with concat (.except | default list) (include "scheduler.metadataWithin" .cidr | fromYamlArray) | uniq }}
        except: {{- toYaml . | nindent 10 }}
        {{- end }}
    {{- else }}
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}
      {{- with .podLabels }}
      podSelector:
        matchLabels: {{- toYaml . | nindent 10 }}
      {{- end }}
    {{- end }}
  ports:
    {{- $protocol := .protocol | default "TCP" }}
    {{- range .ports }}
    - {protocol: {{ $protocol }}, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{- /* Where clouds tell their machines keys and names, as in report_runner/contract/egress.py: what a
network holds of it beside other things, a YAML list. Of IPv6 the networks that are written most. */}}
{{- define "scheduler.metadataWithin" -}}
{{- $bits := splitList "/" . | last | int }}
{{- $octets := splitList "/" . | first | splitList "." }}
{{- if and (eq (len $octets) 4) (le $bits 32) }}
{{- $size := 1 }}
{{- range until (int (sub 32 $bits)) }}{{ $size = mul $size 2 }}{{ end }}
{{- $number := 0 }}
{{- range $octets }}{{ $number = add (mul $number 256) (int .) }}{{ end }}
{{- range $inner := list (list "169.254.0.0/16" 2851995648 16) (list "168.63.129.16/32" 2822734096 32) (list "100.100.100.200/32" 1684301000 32) (list "192.0.0.192/32" 3221225664 32) }}
{{- if and (lt $bits (index $inner 2)) (eq (div $number $size) (div (index $inner 1) $size)) }}
- {{ first $inner }}
{{- end }}
{{- end }}
{{- else if has (lower .) (list "::/0" "fc00::/7" "fd00::/8") }}
- fd00:ec2::254/128
- fd00:ec2::23/128
- fd20:ce::254/128
{{- if eq . "::/0" }}
- fe80::/10
{{- end }}
{{- end }}
{{- end }}

{{- define "scheduler.dnsEgress" -}}
{{- with .Values.networkPolicy.runEgress.dns }}
{{- if .namespace }}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}
      podSelector:
        matchLabels: {{- .podLabels | default (dict "k8s-app" "kube-dns") | toYaml | nindent 10 }}
  ports:
    - {protocol: UDP, port: {{ .port }}}
    - {protocol: TCP, port: {{ .port }}}
{{- end }}
{{- end }}
{{- end }}
