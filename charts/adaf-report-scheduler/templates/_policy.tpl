{{- /* What the tokens of operator and admin API may write, in CEL. */}}

{{- /* A policy for both accounts and its binding: (dict "root" $ "resource" … "group" … "operations" … "spec" text). */}}
{{- define "scheduler.ownPolicy" -}}
{{- $name := printf "%s-own-%s" (include "scheduler.fullname" .root) .resource }}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "scheduler.labels" .root | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [{{ .group | quote }}]
        apiVersions: ["*"]
        operations: {{ toJson .operations }}
        resources: {{ toJson .resources }}
  matchConditions:
    - name: written-by-the-report-scheduler
      expression: request.userInfo.username in {{ include "scheduler.accounts" .root }}
  {{- .spec | nindent 2 }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels: {{- include "scheduler.labels" .root | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
{{- end }}

{{- define "scheduler.accounts" -}}
{{- $prefix := printf "system:serviceaccount:%s:" .Release.Namespace -}}
[{{ print $prefix (include "scheduler.account" .) | squote }}, {{ print $prefix (include "scheduler.apiAccount" .) | squote }}]
{{- end }}

{{- /* Variables of every policy. */}}
{{- define "scheduler.whoAndWhere" -}}
- name: ofApi
  expression: request.userInfo.username == {{ printf "system:serviceaccount:%s:%s" .Release.Namespace (include "scheduler.apiAccount" .) | squote }}
- name: watched
  expression: >-
    {{- $watched := include "scheduler.watched" . | fromYamlArray }}
    {{- if $watched }}
    request.namespace in {{ toJson $watched }}
    {{- else }}
    !request.namespace.startsWith('kube-')
    {{- end }}
{{- end }}

{{- /* An allowlist of shell patterns (the schema bounds them) as one anchored regular expression. */}}
{{- define "scheduler.secretPattern" -}}
{{- $found := list }}
{{- range .Values.config.allowedSecrets }}
{{- $found = append $found (regexQuoteMeta . | replace "\\*" ".*" | replace "\\?" "." | replace "\\[!" "[^" | replace "\\[" "[" | replace "\\]" "]") }}
{{- end -}}
^({{ $found | default (list "[^\\s\\S]") | join "|" }})$
{{- end }}

{{- /* Whether `object` bears the labels of a schedule's and is owned by one of this kind. */}}
{{- define "scheduler.isOurs" -}}
has(object.metadata.labels) && 'reports.adaf.io/schedule-uid' in object.metadata.labels
&& 'app.kubernetes.io/managed-by' in object.metadata.labels
&& object.metadata.labels['app.kubernetes.io/managed-by'] == 'report-scheduler'
&& has(object.metadata.ownerReferences) && size(object.metadata.ownerReferences) == 1
&& object.metadata.ownerReferences.all(o, o.kind == '{{ .kind }}'
&& o.apiVersion.startsWith('{{ .group }}/') && has(o.controller) && o.controller
{{- if .uid }} && o.uid == object.metadata.labels['reports.adaf.io/schedule-uid']{{ end }})
{{- end }}

{{- /* The pod of a run, as report_operator/domain/schedules/pods.py makes it: variables. */}}
{{- define "scheduler.podVariables" -}}
# A look at what a schedule has sent (report_operator/domain/runs/verification.py): no run.
- name: verifies
  expression: >-
    object.kind == 'Job' && has(object.metadata.labels) && 'reports.adaf.io/verifies-uid' in object.metadata.labels
- name: pod
  expression: variables.job.spec.template.spec
- name: container
  expression: variables.pod.containers[0]
- name: volumes
  expression: "has(variables.pod.volumes) ? variables.pod.volumes : []"
{{- end }}

{{- /* And its validations; `unless` is an expression that excuses from all of them. */}}
{{- define "scheduler.podValidations" -}}
{{- $runner := .root.Values.config.runner }}
{{- $repository := include "scheduler.repository" (dict "root" .root "image" .root.Values.image) }}
{{- $pull := include "scheduler.pullSecrets" .root | fromYamlArray }}
{{- $priority := dig "priorityClassName" "" $runner }}
{{- $labels := dig "podLabels" dict $runner | default dict }}
{{- $security := dig "podSecurityContext" dict $runner | default dict }}
- expression: >-
    {{ .unless }} variables.verifies || (has(variables.job.metadata.labels)
    && 'reports.adaf.io/schedule-uid' in variables.job.metadata.labels
    && has(variables.job.spec.template.metadata.labels)
    && 'reports.adaf.io/schedule-uid' in variables.job.spec.template.metadata.labels
    && variables.job.metadata.labels['reports.adaf.io/schedule-uid'] == object.metadata.labels['reports.adaf.io/schedule-uid']
    && variables.job.spec.template.metadata.labels['reports.adaf.io/schedule-uid'] == object.metadata.labels['reports.adaf.io/schedule-uid'])
  message: "a run and its pod bear the schedule's uid as a label"
- expression: >-
    {{ .unless }} ((!has(variables.job.spec.parallelism) || variables.job.spec.parallelism <= 1)
    && (!has(variables.job.spec.completions) || variables.job.spec.completions <= 1)
    && (variables.verifies || (has(variables.job.spec.suspend) && variables.job.spec.suspend)))
  message: a run has one pod, and begins suspended
- expression: >-
    {{ .unless }} (size(variables.pod.containers) == 1
    && (!has(variables.pod.initContainers) || size(variables.pod.initContainers) == 0)
    && (!has(variables.pod.ephemeralContainers) || size(variables.pod.ephemeralContainers) == 0))
  message: a run's pod has one container
- expression: >-
    {{ .unless }} (variables.container.image.matches(r'^{{ regexQuoteMeta $repository }}(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?$')
    && has(variables.container.command)
    && variables.container.command == ['report-generator', variables.verifies ? 'verify' : 'run']
    && (!has(variables.container.args) || size(variables.container.args) == 0))
  message: {{ printf "a run's container is report-generator run of the image %s, or verify to look at what was sent" $repository | quote }}
- expression: >-
    {{ .unless }} ((!has(variables.container.env) || variables.container.env.all(e,
    (e.name in ['REPORT_DEFINITION_SHA256', 'REPORT_SLOT', 'REPORT_DATE', 'REPORT_DUE_AT', 'REPORT_RUN_ID', 'REPORT_ATTEMPT', 'REPORT_RESEND', 'REPORT_POD_NAME', 'REPORT_NAMESPACE', 'REPORT_PARAMETERS']
    && (!has(e.valueFrom) || has(e.valueFrom.fieldRef)))
    {{- with dig "egress" "allow" list $runner }}
    || (e.name == 'REPORT_EGRESS_ALLOW' && !has(e.valueFrom) && e.value == {{ join "," . | squote }})
    {{- end }}
    {{- with dig "tracing" "endpoint" "" .root.Values.config }}
    || (e.name == 'REPORT_OTLP_ENDPOINT' && !has(e.valueFrom) && e.value == {{ squote . }})
    {{- end }}
    {{- with dig "logging" "format" "json" .root.Values.config }}{{ if ne . "json" }}
    || (e.name == 'REPORT_LOG_FORMAT' && !has(e.valueFrom) && e.value == {{ squote . }})
    {{- end }}{{ end }}
    {{- with dig "logging" "level" "info" .root.Values.config }}{{ if ne . "info" }}
    || (e.name == 'REPORT_LOG_LEVEL' && !has(e.valueFrom) && e.value == {{ squote . }})
    {{- end }}{{ end }}))
    && (!has(variables.container.envFrom) || size(variables.container.envFrom) == 0))
  message: a run's environment is its digest, its stamps, config.runner.egress.allow, config.logging and config.tracing, and nothing of Secrets and ConfigMaps
- expression: >-
    {{ .unless }} (!has(variables.container.lifecycle) && !has(variables.container.livenessProbe)
    && !has(variables.container.readinessProbe) && !has(variables.container.startupProbe)
    && (!has(variables.container.ports) || size(variables.container.ports) == 0)
    && (!has(variables.container.volumeDevices) || size(variables.container.volumeDevices) == 0)
    && !has(variables.container.workingDir)
    && variables.container.terminationMessagePath == '/dev/termination-log')
  message: a run's container has no ports, probes, hooks, devices or files of its own choice
- expression: >-
    {{ .unless }} (has(variables.container.securityContext)
    && has(variables.container.securityContext.allowPrivilegeEscalation)
    && !variables.container.securityContext.allowPrivilegeEscalation
    && has(variables.container.securityContext.readOnlyRootFilesystem)
    && variables.container.securityContext.readOnlyRootFilesystem
    && (!has(variables.container.securityContext.privileged) || !variables.container.securityContext.privileged)
    && has(variables.container.securityContext.capabilities)
    && has(variables.container.securityContext.capabilities.drop)
    && variables.container.securityContext.capabilities.drop == ['ALL']
    && (!has(variables.container.securityContext.capabilities.add)
    || size(variables.container.securityContext.capabilities.add) == 0)
    && (!has(variables.container.securityContext.runAsUser) || variables.container.securityContext.runAsUser > 0)
    && (!has(variables.container.securityContext.runAsNonRoot) || variables.container.securityContext.runAsNonRoot)
    && !has(variables.container.securityContext.procMount)
    && !has(variables.container.securityContext.seLinuxOptions)
    && !has(variables.container.securityContext.seccompProfile)
    && !has(variables.container.securityContext.appArmorProfile)
    && !has(variables.container.securityContext.windowsOptions))
  message: a run's container has no privileges
- expression: >-
    {{ .unless }} (has(variables.pod.securityContext)
    && has(variables.pod.securityContext.runAsNonRoot) && variables.pod.securityContext.runAsNonRoot
    && (!has(variables.pod.securityContext.runAsUser) || variables.pod.securityContext.runAsUser > 0)
    && has(variables.pod.securityContext.seccompProfile)
    && variables.pod.securityContext.seccompProfile.type == 'RuntimeDefault'
    && (!has(variables.pod.securityContext.supplementalGroups)
    || variables.pod.securityContext.supplementalGroups.all(g, g in {{ $security.supplementalGroups | default list | toJson }}))
    && (!has(variables.pod.securityContext.sysctls) || size(variables.pod.securityContext.sysctls) == 0)
    {{- with $security.seLinuxOptions }}
    && (!has(variables.pod.securityContext.seLinuxOptions) || ({{ range $i, $key := list "level" "role" "type" "user" }}{{ if $i }} && {{ end }}
    {{- if hasKey $security.seLinuxOptions $key }}has(variables.pod.securityContext.seLinuxOptions.{{ $key }}) && variables.pod.securityContext.seLinuxOptions.{{ $key }} == {{ get $security.seLinuxOptions $key | squote }}
    {{- else }}!has(variables.pod.securityContext.seLinuxOptions.{{ $key }}){{ end }}{{ end }}))
    {{- else }}
    && !has(variables.pod.securityContext.seLinuxOptions)
    {{- end }}
    && !has(variables.pod.securityContext.appArmorProfile)
    && !has(variables.pod.securityContext.windowsOptions))
  message: a run's pod is not root and has no privileges
- expression: >-
    {{ .unless }} ((!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork)
    && (!has(variables.pod.hostPID) || !variables.pod.hostPID)
    && (!has(variables.pod.hostIPC) || !variables.pod.hostIPC)
    && (!has(variables.pod.shareProcessNamespace) || !variables.pod.shareProcessNamespace)
    && (!has(variables.pod.hostAliases) || size(variables.pod.hostAliases) == 0)
    && (!has(variables.pod.resourceClaims) || size(variables.pod.resourceClaims) == 0)
    && !has(variables.pod.nodeName) && !has(variables.pod.runtimeClassName))
  message: a run's pod has nothing of its node and does not choose one past the scheduler
# An anti-affinity keeps the pods of others off a node; another resolver leads a run's password astray.
- expression: >-
    {{ .unless }} (variables.pod.schedulerName == 'default-scheduler'
    && !has(variables.pod.affinity) && !has(variables.pod.topologySpreadConstraints)
    && !has(variables.pod.overhead))
  message: a run's pod is left to the default scheduler, and keeps no other pod from a node
- expression: >-
    {{ .unless }} (variables.pod.dnsPolicy == 'ClusterFirst' && !has(variables.pod.dnsConfig)
    && !has(variables.pod.hostname) && !has(variables.pod.subdomain)
    && (!has(variables.pod.setHostnameAsFQDN) || !variables.pod.setHostnameAsFQDN))
  message: a run's pod has the cluster's DNS, and no name of its own
# A Service of the team would send its callers to a pod with the Service's labels.
- expression: >-
    {{ .unless }} !has(variables.job.spec.template.metadata.labels)
    || variables.job.spec.template.metadata.labels.all(key, key.startsWith('reports.adaf.io/')
    || key.startsWith('batch.kubernetes.io/')
    || key in ['app.kubernetes.io/managed-by', 'job-name', 'controller-uid']
    || key in {{ keys $labels | sortAlpha | toJson }})
  message: a run's pod has the labels of its schedule and of config.runner.podLabels, and no others
- expression: >-
    {{ .unless }} ((!has(variables.pod.serviceAccountName) || variables.pod.serviceAccountName in ['', 'default'])
    && (!has(variables.pod.serviceAccount) || variables.pod.serviceAccount in ['', 'default'])
    && has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken)
  message: a run's pod has no service account and no token
- expression: >-
    {{ .unless }} ((!has(variables.pod.priorityClassName) || variables.pod.priorityClassName in ['', {{ $priority | squote }}])
    && !has(variables.pod.priority) && !has(variables.pod.preemptionPolicy))
  message: a run's pod has the priority class of config.runner.priorityClassName, or none
- expression: >-
    {{ .unless }} (!has(variables.pod.imagePullSecrets)
    || variables.pod.imagePullSecrets.all(s, has(s.name) && s.name in {{ toJson $pull }}))
  message: a run's pod has the imagePullSecrets of config.runner.imagePullSecrets
- expression: >-
    {{ .unless }} variables.volumes.all(v, has(v.configMap) || has(v.secret)
    || has(v.persistentVolumeClaim) || has(v.emptyDir))
  message: a run's volumes are its definition, its Secrets, its claim and scratch space
- expression: >-
    {{ .unless }} variables.volumes.all(v, !has(v.secret)
    || (has(v.secret.secretName) && v.secret.secretName.matches(r'{{ include "scheduler.secretPattern" .root }}')))
  message: "a run may mount Secrets that config.allowedSecrets names, and no others"
- expression: >-
    {{ .unless }} variables.volumes.all(v, !has(v.configMap)
    || (has(v.configMap.name) && v.configMap.name.matches('^[a-z0-9].*-[0-9a-f]{10,64}$')))
  message: a run mounts no ConfigMap but a definition
- expression: >-
    {{ .unless }} variables.volumes.all(v, !has(v.persistentVolumeClaim)
    || v.persistentVolumeClaim.claimName == {{ .root.Values.output.claimName | squote }})
  message: {{ printf "a run mounts no claim but %s" .root.Values.output.claimName | quote }}
# Networks, service meshes and AppArmor take their orders from annotations.
- expression: >-
    {{ .unless }} !has(variables.job.spec.template.metadata.annotations)
    || variables.job.spec.template.metadata.annotations.all(key, {{ include "scheduler.podAnnotation" .root }})
  message: "a run's pod has the annotations of config.runner.podAnnotations and those of reports.adaf.io/, and no others"
# A file that is put over one of the image would be code.
- expression: >-
    {{ .unless }} (variables.volumes.all(v, v.name == 'definition' ? has(v.configMap) && !has(v.configMap.items)
    : v.name == 'output' ? has(v.persistentVolumeClaim) : v.name == 'tmp' ? has(v.emptyDir)
    : v.name.startsWith('secret-') && has(v.secret) && !has(v.secret.items))
    && (!has(variables.container.volumeMounts) || variables.container.volumeMounts.all(m,
    !has(m.subPath) && !has(m.subPathExpr) && !has(m.mountPropagation)
    && (m.name == 'definition' ? m.mountPath == '/etc/report/definition'
    : m.name == 'output' ? m.mountPath == '/var/adaf/reports' : m.name == 'tmp' ? m.mountPath == '/tmp'
    : m.mountPath.matches('^/etc/report/secrets/[a-z0-9][a-z0-9.-]*$')))))
  message: a run's volumes are mounted whole, and each at its own place
{{- end }}

{{- /* Whether a key is of an annotation that the pods of runs may have. */}}
{{- define "scheduler.podAnnotation" -}}
key.startsWith('reports.adaf.io/') || key in {{ dig "podAnnotations" dict .Values.config.runner | default dict | keys | sortAlpha | toJson }}
{{- end }}

{{- define "scheduler.policyOfJobs" -}}
variables:
  {{- include "scheduler.whoAndWhere" . | nindent 2 }}
  - name: job
    expression: object
  {{- include "scheduler.podVariables" . | nindent 2 }}
validations:
  - expression: variables.watched
    message: runs are made and changed in the namespaces that are watched, and nowhere else
  - expression: >-
      request.operation == 'CREATE' || (has(oldObject.metadata.labels)
      && 'reports.adaf.io/schedule-uid' in oldObject.metadata.labels)
    message: "only runs of ReportSchedules may be changed and deleted: Jobs with the label reports.adaf.io/schedule-uid"
  - expression: request.operation != 'DELETE' || !variables.ofApi
    message: the admin API deletes no Job
  # To start one, to end it, to stamp it: what it runs stays what it was.
  - expression: >-
      request.operation != 'UPDATE' || (
      {{- if .Values.config.kueue.enabled }}
      oldObject.metadata.labels.all(key, key in object.metadata.labels
      && object.metadata.labels[key] == oldObject.metadata.labels[key])
      && object.metadata.labels.all(key, key in oldObject.metadata.labels
      || (key == 'kueue.x-k8s.io/queue-name' && oldObject.spec.suspend && object.spec.suspend))
      {{- else }}
      object.metadata.labels == oldObject.metadata.labels
      {{- end }}
      && has(object.metadata.ownerReferences) == has(oldObject.metadata.ownerReferences)
      && (!has(object.metadata.ownerReferences)
      || object.metadata.ownerReferences == oldObject.metadata.ownerReferences)
      && object.spec.template.spec == oldObject.spec.template.spec
      && has(object.spec.template.metadata.labels) == has(oldObject.spec.template.metadata.labels)
      && (!has(object.spec.template.metadata.labels)
      || object.spec.template.metadata.labels == oldObject.spec.template.metadata.labels)
      && has(object.spec.parallelism) == has(oldObject.spec.parallelism)
      && (!has(object.spec.parallelism) || object.spec.parallelism == oldObject.spec.parallelism)
      && has(object.spec.completions) == has(oldObject.spec.completions)
      && (!has(object.spec.completions) || object.spec.completions == oldObject.spec.completions))
    message: of a run that is there only its start, its end and its annotations may be changed
  - expression: >-
      request.operation != 'UPDATE' || !has(object.spec.template.metadata.annotations)
      || object.spec.template.metadata.annotations.all(key, {{ include "scheduler.podAnnotation" . }}
      || (has(oldObject.spec.template.metadata.annotations) && key in oldObject.spec.template.metadata.annotations
      && object.spec.template.metadata.annotations[key] == oldObject.spec.template.metadata.annotations[key]))
    message: "of the annotations of a run's pod only those of reports.adaf.io/ may be changed"
  - expression: request.operation != 'UPDATE' || !variables.ofApi || object.spec == oldObject.spec
    message: the admin API changes annotations of Jobs, and nothing else
  - expression: >-
      request.operation != 'CREATE' || variables.verifies || ({{ include "scheduler.isOurs" (dict "kind" "CronJob" "group" "batch") | nindent 6 | trim }})
    message: "a run has the labels of its schedule, and its CronJob for an owner"
  # The label of runs would put it into the queue, the status and the history of its schedule.
  - expression: >-
      request.operation != 'CREATE' || !variables.verifies || (variables.ofApi
      && !('reports.adaf.io/schedule-uid' in object.metadata.labels)
      && has(object.metadata.ownerReferences) && size(object.metadata.ownerReferences) == 1
      && object.metadata.ownerReferences.all(o, o.kind == 'ReportSchedule'
      && o.apiVersion.startsWith('reports.adaf.io/') && has(o.controller) && o.controller
      && o.uid == object.metadata.labels['reports.adaf.io/verifies-uid'])
      && has(object.spec.template.metadata.labels)
      && 'reports.adaf.io/schedule-uid' in object.spec.template.metadata.labels
      && object.spec.template.metadata.labels['reports.adaf.io/schedule-uid'] == object.metadata.labels['reports.adaf.io/verifies-uid'])
    message: "the admin API alone makes a Job that looks at what was sent: it has its ReportSchedule for an owner, and the label of no run"
  - expression: >-
      request.operation != 'CREATE' || !variables.verifies
      || (has(object.spec.backoffLimit) && object.spec.backoffLimit == 0
      && has(object.spec.activeDeadlineSeconds) && object.spec.activeDeadlineSeconds <= 900
      && has(object.spec.ttlSecondsAfterFinished) && object.spec.ttlSecondsAfterFinished <= 3600)
    message: a look at what was sent is tried once, ends within a quarter of an hour, and is kept for an hour
  {{- include "scheduler.podValidations" (dict "root" . "unless" "request.operation != 'CREATE' ||") | nindent 2 }}
{{- end }}

{{- define "scheduler.policyOfCronJobs" -}}
variables:
  {{- include "scheduler.whoAndWhere" . | nindent 2 }}
  - name: job
    expression: object.spec.jobTemplate
  {{- include "scheduler.podVariables" . | nindent 2 }}
validations:
  - expression: variables.watched && !variables.ofApi
    message: the operator writes CronJobs in the namespaces that are watched, and nobody else does
  # A name may be taken by a CronJob of somebody else.
  - expression: >-
      request.operation == 'CREATE' || (has(oldObject.metadata.ownerReferences)
      && oldObject.metadata.ownerReferences.exists(o, o.kind == 'ReportSchedule'
      && o.apiVersion.startsWith('reports.adaf.io/') && has(o.controller) && o.controller))
    message: only CronJobs of ReportSchedules may be changed
  - expression: >-
      {{ include "scheduler.isOurs" (dict "kind" "ReportSchedule" "group" "reports.adaf.io" "uid" true) | nindent 6 | trim }}
    message: "a CronJob has the labels of its schedule, and the schedule for an owner"
  {{- include "scheduler.podValidations" (dict "root" . "unless" "(has(request.subResource) && request.subResource == 'status') ||") | nindent 2 }}
{{- end }}

{{- define "scheduler.policyOfConfigMaps" -}}
variables:
  {{- include "scheduler.whoAndWhere" . | nindent 2 }}
validations:
  - expression: >-
      !variables.ofApi || (request.operation != 'DELETE' && request.namespace == {{ .Release.Namespace | squote }}
      && request.name == '{{ include "scheduler.fullname" . }}-requests')
    message: the admin API writes the ConfigMap {{ include "scheduler.fullname" . }}-requests, and no other
  - expression: variables.ofApi || (variables.watched && request.operation != 'UPDATE')
    message: "the operator makes and deletes definitions in the namespaces that are watched, and changes none"
  - expression: >-
      variables.ofApi || request.operation != 'DELETE' || (has(oldObject.metadata.labels)
      && 'reports.adaf.io/schedule-uid' in oldObject.metadata.labels)
    message: "only definitions may be deleted: ConfigMaps with the label reports.adaf.io/schedule-uid"
  - expression: >-
      variables.ofApi || request.operation != 'CREATE' || ({{ include "scheduler.isOurs" (dict "kind" "ReportSchedule" "group" "reports.adaf.io" "uid" true) | nindent 6 | trim }})
    message: "a definition has the labels of its schedule, and the schedule for an owner"
  - expression: >-
      variables.ofApi || request.operation != 'CREATE' || (has(object.immutable) && object.immutable
      && has(object.data) && object.data.all(key, key == 'definition.json') && !has(object.binaryData)
      && object.metadata.name.matches('^[a-z0-9].*-[0-9a-f]{10,64}$'))
    message: "a definition is immutable, named by its content, and holds definition.json alone"
{{- end }}

{{- define "scheduler.policyOfLeases" -}}
variables:
  {{- include "scheduler.whoAndWhere" . | nindent 2 }}
validations:
  - expression: >-
      request.namespace == {{ .Release.Namespace | squote }}
      && object.metadata.name == {{ include "scheduler.fullname" . | squote }}
    message: the Lease is {{ include "scheduler.fullname" . }} of namespace {{ .Release.Namespace }}
  - expression: >-
      !variables.ofApi || (request.operation == 'UPDATE' && object.spec == oldObject.spec)
    message: "the admin API writes annotations of the Lease, and does not lead"
{{- end }}

{{- define "scheduler.policyOfSchedules" -}}
variables:
  {{- include "scheduler.whoAndWhere" . | nindent 2 }}
  - name: before
    expression: >-
      oldObject != null && has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {}
  - name: after
    expression: "has(object.metadata.annotations) ? object.metadata.annotations : {}"
validations:
  - expression: >-
      variables.watched && variables.ofApi && request.operation == 'UPDATE'
      && object.spec == oldObject.spec
      && has(object.metadata.labels) == has(oldObject.metadata.labels)
      && (!has(object.metadata.labels) || object.metadata.labels == oldObject.metadata.labels)
      && has(object.metadata.ownerReferences) == has(oldObject.metadata.ownerReferences)
      && (!has(object.metadata.ownerReferences)
      || object.metadata.ownerReferences == oldObject.metadata.ownerReferences)
      && has(object.metadata.finalizers) == has(oldObject.metadata.finalizers)
      && (!has(object.metadata.finalizers)
      || object.metadata.finalizers == oldObject.metadata.finalizers)
      && variables.before.all(key, key in variables.after)
      && variables.after.all(key, key == 'reports.adaf.io/acknowledged-through'
      || (key in variables.before && variables.after[key] == variables.before[key]))
    message: "of a ReportSchedule the admin API writes the annotation reports.adaf.io/acknowledged-through, and nothing else"
{{- end }}

{{- define "scheduler.policyOfBackfills" -}}
variables:
  {{- include "scheduler.whoAndWhere" . | nindent 2 }}
validations:
  - expression: variables.watched && variables.ofApi && request.operation != 'UPDATE'
    message: "the admin API makes and cancels ReportBackfills in the namespaces that are watched, and changes none"
  # What has ended is a record.
  - expression: >-
      request.operation != 'DELETE' || !has(oldObject.status) || !has(oldObject.status.completionTime)
    message: "only a ReportBackfill that has not ended may be cancelled"
{{- end }}

{{- define "scheduler.policyOfEvents" -}}
validations:
  - expression: >-
      has(object.reportingComponent) && object.reportingComponent == 'report-scheduler'
    message: an Event says that it comes from the report scheduler
{{- end }}
