{{- /* Postgres and Redis. Each takes (dict "root" $ "store" "postgres"), or "redis". */}}

{{- /* Where the operator's containers have the store's Secret, one file for each key. */}}
{{- define "scheduler.storeDirectory" -}}
/etc/report-scheduler-secrets/{{ .store }}
{{- end }}

{{- /* The Secret that says where the store is; empty where it is not used. */}}
{{- define "scheduler.storeSecret" -}}
{{- $values := index .root.Values .store }}
{{- if $values.enabled }}
{{- with $values.existingSecret }}
{{- $data := (lookup "v1" "Secret" $.root.Release.Namespace .).data }}
{{- if and $data (not (hasKey $data "host")) }}
{{- fail (printf "%s.existingSecret: the Secret %s of namespace %s has no key host; it has %s" $.store . $.root.Release.Namespace (keys $data | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- $values.existingSecret | default .store }}
{{- else if $values.existingSecret }}
{{- fail (printf "%s.existingSecret is %q and %s.enabled is false: one of them has to go; enabled: true uses the Secret, an empty existingSecret with enabled: false does without" .store $values.existingSecret .store) }}
{{- end }}
{{- end }}

{{- /* "true" where the store comes with the chart. */}}
{{- define "scheduler.storeBundled" -}}
{{- $values := index .root.Values .store }}
{{- if and $values.enabled (not $values.existingSecret) }}true{{ end }}
{{- end }}

{{- /* The password that the store has already, else a new one; in base64. Without a cluster nobody
can tell which: each rendering (of Argo CD, for instance) would lock the store with another. */}}
{{- define "scheduler.storePassword" -}}
{{- $known := (lookup "v1" "Secret" .root.Release.Namespace .store).data | default dict }}
{{- if and (not $known.password) (ne .root.Values.storePasswords "anew") (not (lookup "v1" "Namespace" "" "default")) }}
{{- fail (printf "storePasswords: the chart is rendered without a cluster, where it cannot see the password that %[1]s has, and would make a new one each time. Make the Secret %[1]s yourself and set storePasswords=existing, name one of your own store in %[1]s.existingSecret, install with helm itself, or set storePasswords=anew to only look at what is rendered: see docs/gitops.md" .store) }}
{{- end }}
{{- $known.password | default (randAlphaNum 32 | b64enc) }}
{{- end }}

{{- /* The Secret with the bundled store's password: the chart's own, or one that is there already. */}}
{{- define "scheduler.storePasswordSecret" -}}
{{- (index .root.Values .store).passwordSecret | default .store }}
{{- end }}

{{- define "scheduler.storeTls" -}}
{{- (index .root.Values .store).tls.existingSecret }}
{{- end }}

{{- /* Volumes and mounts of the operator's pod, each a list; these two take the root itself. */}}
{{- define "scheduler.storeVolumes" -}}
{{- $volumes := list }}
{{- range $store := list "postgres" "redis" }}
{{- $of := dict "root" $ "store" $store }}
{{- with include "scheduler.storeSecret" $of }}
{{- $sources := list (dict "secret" (dict "name" .)) }}
{{- if include "scheduler.storeBundled" $of }}
{{- with (index $.Values $store).passwordSecret }}
{{- $item := dict "key" "password" "path" "password" }}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" (list $item))) }}
{{- end }}
{{- with include "scheduler.storeTls" $of }}
{{- $item := dict "key" "ca.crt" "path" "ca.crt" }}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" (list $item))) }}
{{- end }}
{{- end }}
{{- if eq (len $sources) 1 }}
{{- $volumes = append $volumes (dict "name" $store "secret" (dict "secretName" . "defaultMode" 0440)) }}
{{- else }}
{{- $volumes = append $volumes (dict "name" $store "projected" (dict "defaultMode" 0440 "sources" $sources)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $volumes }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "scheduler.storeMounts" -}}
{{- $mounts := list }}
{{- range $store := list "postgres" "redis" }}
{{- $of := dict "root" $ "store" $store }}
{{- if include "scheduler.storeSecret" $of }}
{{- $path := include "scheduler.storeDirectory" $of }}
{{- $mounts = append $mounts (dict "name" $store "mountPath" $path "readOnly" true) }}
{{- end }}
{{- end }}
{{- with $mounts }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "scheduler.storeSelector" -}}
app.kubernetes.io/name: {{ .store }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}

{{- define "scheduler.storeLabels" -}}
{{ include "scheduler.storeSelector" . }}
app.kubernetes.io/part-of: {{ include "scheduler.name" .root }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- include "scheduler.commonLabels" .root }}
{{- end }}

{{- define "scheduler.storeImage" -}}
{{- include "scheduler.imageOf" (dict "root" .root "image" (index .root.Values .store).image) }}
{{- end }}

{{- /* Service, files, password and network policy of a bundled store; it takes "port" too. */}}
{{- define "scheduler.storeSurroundings" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .store }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "scheduler.storeLabels" . | nindent 4 }}
spec:
  selector: {{- include "scheduler.storeSelector" . | nindent 4 }}
  ports:
    - {name: {{ .store }}, port: {{ .port }}, targetPort: {{ .store }}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .store }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "scheduler.storeLabels" . | nindent 4 }}
data: {{- (.root.Files.Glob (printf "files/stores/%s/*" .store)).AsConfig | nindent 2 }}
{{- if ne .root.Values.storePasswords "existing" }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .store }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "scheduler.storeLabels" . | nindent 4 }}
  annotations:
    # The volume outlives the release, and is of no use without it.
    helm.sh/resource-policy: keep
data:
  host: {{ printf "%s.%s.svc" .store .root.Release.Namespace | b64enc }}
  port: {{ .port | toString | b64enc }}
  {{- range $key, $value := .also }}
  {{ $key }}: {{ $value | b64enc }}
  {{- end }}
  {{- if eq (include "scheduler.storePasswordSecret" .) .store }}
  password: {{ include "scheduler.storePassword" . | quote }}
  {{- end }}
{{- end }}
{{- if .root.Values.networkPolicy.enabled }}
---
# The operator's and the admin API's pods call it, nobody else does, and it calls nobody.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .store }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "scheduler.storeLabels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "scheduler.storeSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {{- include "scheduler.selector" .root | nindent 14 }}
        {{- if .root.Values.adminApi.enabled }}
        - podSelector:
            matchLabels: {{- include "scheduler.apiSelector" .root | nindent 14 }}
        {{- end }}
      ports:
        - {port: {{ .store }}}
{{- end }}
{{- end }}

{{- /* The StatefulSet's spec around its container, which comes as "container", a text. */}}
{{- define "scheduler.storeSpec" -}}
{{- $values := index .root.Values .store -}}
{{- $pod := dict "root" .root "own" $values "selector" "scheduler.storeSelector" "of" . -}}
replicas: 1
serviceName: {{ .store }}
# An upgrade mends a pod that never became ready; in order, it would wait for it.
podManagementPolicy: Parallel
selector:
  matchLabels: {{- include "scheduler.storeSelector" . | nindent 4 }}
template:
  metadata:
    # Nothing of the chart's version: an upgrade of the operator alone restarts no database.
    labels: {{- include "scheduler.podLabels" (list (include "scheduler.storeSelector" . | fromYaml) $values.podLabels .root.Values.commonLabels) | nindent 6 }}
    annotations:
      {{- with $values.podAnnotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      checksum/files: {{ (.root.Files.Glob (printf "files/stores/%s/*" .store)).AsConfig | sha256sum }}
  spec:
    automountServiceAccountToken: false
    enableServiceLinks: false
    terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
    {{- include "scheduler.podSettings" $pod | nindent 4 }}
    {{- with .initContainers }}
    initContainers: {{- . | nindent 6 }}
    {{- end }}
    containers:
      - name: {{ .store }}
        image: {{ include "scheduler.storeImage" . | quote }}
        imagePullPolicy: {{ $values.image.pullPolicy }}
        command: [sh, /etc/stores/start]
        ports:
          - {name: {{ .store }}, containerPort: {{ .port }}}
        securityContext: {{- include "scheduler.containerSecurityContext" $pod | nindent 10 }}
        resources: {{- toYaml $values.resources | nindent 10 }}
        {{- .container | nindent 8 }}
          {{- if include "scheduler.storeTls" . }}
          - {name: tls, mountPath: /etc/stores-tls, readOnly: true}
          {{- end }}
    volumes:
      - name: stores
        configMap: {name: {{ .store }}}
      - name: secret
        secret:
          secretName: {{ include "scheduler.storePasswordSecret" . | quote }}
          defaultMode: 0440
          items:
            - {key: password, path: password}
      {{- with include "scheduler.storeTls" . }}
      - name: tls
        secret:
          secretName: {{ . | quote }}
          defaultMode: 0440  # of root's: Postgres takes a key that its group may read
          items:
            - {key: tls.crt, path: tls.crt}
            - {key: tls.key, path: tls.key}
            - {key: ca.crt, path: ca.crt}
      {{- end }}
      - name: tmp
        emptyDir: {sizeLimit: 64Mi}
      {{- with .volumes }}
      {{- . | nindent 6 }}
      {{- end }}
volumeClaimTemplates:
  - metadata:
      name: data
      labels: {{- include "scheduler.storeSelector" . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with $values.storageClassName }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources:
        requests:
          storage: {{ $values.size | quote }}
{{- end }}
