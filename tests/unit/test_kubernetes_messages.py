# ruff: noqa: E501  (a sentence of Kubernetes is easier to find in one piece)
"""Kubernetes' own sentences → our reason and the field to change.

Each block names the source files that form the sentences. Where a supported version says it
differently, both are here.
"""

from __future__ import annotations

import re

import pytest
from factories import make_pod

from report_operator.domain.runs.cause import PENDING_LIMIT
from report_operator.domain.runs.pending import EventNote, explain_pending, explain_refused
from report_operator.domain.runs.refusals import explain_refusal
from report_operator.domain.runs.scheduling import explain_unschedulable
from report_runner.contract.reasons import Reason

# What nobody who reads it can act upon, or what is wrong where memory is not the matter.
NO_REMEDY = re.compile(r"tell the developers|None of these|InternalError")

POD = 'Error creating: pods "daily-29924940-abcde" is forbidden: '
POD_INVALID = 'Error creating: Pod "daily-29924940-abcde" is invalid: '
JOB = 'Error creating job: jobs.batch "daily-29924940" is forbidden: '

# Events FailedCreate of the Job controller (pkg/controller/controller_utils.go) and the CronJob
# controller (pkg/controller/cronjob/cronjob_controllerv2.go), around the sentences of admission.
REFUSALS = [
    # apiserver/pkg/admission/plugin/resourcequota/controller.go, pkg/quota/v1/evaluator/core/pods.go
    (
        POD + "failed quota: sre-quota: must specify limits.cpu for: report",
        Reason.QUOTA_EXCEEDED,
        [
            "ResourceQuota sre-quota",
            "spec.resources.limits.cpu",
            "config.runner.defaultResources.limits.cpu",
        ],
    ),
    (
        POD + "failed quota: q: must specify limits.cpu for: report; requests.cpu for: report,mesh",
        Reason.QUOTA_EXCEEDED,
        ["spec.resources.limits.cpu and spec.resources.requests.cpu in"],
    ),
    (
        POD + "failed quota: q: must specify memory for: report",
        Reason.QUOTA_EXCEEDED,
        ["spec.resources.requests.memory in"],
    ),
    (
        POD + "exceeded quota: compute, requested: pods=1, used: pods=4, limited: pods=4",
        Reason.QUOTA_EXCEEDED,
        ["spec.hard of ResourceQuota compute (pods)", "delete pods"],
    ),
    (
        POD + "exceeded quota: q, requested: limits.memory=768Mi,requests.cpu=100m, used: "
        "limits.memory=1Gi,requests.cpu=1, limited: limits.memory=1Gi,requests.cpu=1",
        Reason.QUOTA_EXCEEDED,
        [
            "(limits.memory, requests.cpu)",
            "spec.resources.limits.memory and spec.resources.requests.cpu",
        ],
    ),
    (
        JOB + "exceeded quota: sre-quota-jobs, requested: count/jobs.batch=1, used: "
        "count/jobs.batch=1, limited: count/jobs.batch=1",
        Reason.QUOTA_EXCEEDED,
        ["ResourceQuota sre-quota-jobs (count/jobs.batch)", "delete finished Jobs"],
    ),
    (POD + "insufficient quota to consume: pods", Reason.QUOTA_EXCEEDED, ["have one made"]),
    (
        POD + "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
        Reason.QUOTA_EXCEEDED,
        ["config.runner.priorityClassName"],
    ),
    (
        POD + "status unknown for quota: compute, resources: limits.cpu",
        Reason.QUOTA_EXCEEDED,
        ["ResourceQuota compute is not counted yet"],
    ),
    # plugin/pkg/admission/limitranger/admission.go
    (
        POD + "maximum memory usage per Container is 512Mi, but limit is 768Mi",
        Reason.LIMIT_RANGE_VIOLATED,
        ["set spec.resources.limits.memory to at most 512Mi"],
    ),
    (
        POD + "maximum cpu usage per Container is 1.  No limit is specified",
        Reason.LIMIT_RANGE_VIOLATED,
        ["set spec.resources.limits.cpu to at most 1 "],
    ),
    (
        POD + "minimum cpu usage per Container is 250m, but request is 100m",
        Reason.LIMIT_RANGE_VIOLATED,
        ["set spec.resources.requests.cpu to at least 250m"],
    ),
    (
        POD + "minimum ephemeral-storage usage per Container is 1Gi, but limit is 512Mi",
        Reason.LIMIT_RANGE_VIOLATED,
        ["set spec.resources.limits.ephemeral-storage to at least 1Gi"],
    ),
    (
        POD + "[minimum cpu usage per Pod is 1, but request is 100m, maximum memory usage per Pod "
        "is 512Mi, but limit is 805306368]",
        Reason.LIMIT_RANGE_VIOLATED,
        ["requests.cpu to at least 1 for the whole Pod and", "limits.memory to at most 512Mi"],
    ),
    (
        POD + "cpu max limit to request ratio per Container is 2, but no limit is specified or "
        "limit is 0",
        Reason.LIMIT_RANGE_VIOLATED,
        ["spec.resources.limits.cpu and spec.resources.requests.cpu", "at most 2 times"],
    ),
    (
        POD
        + "memory max limit to request ratio per Container is 2, but provided ratio is 4.000000",
        Reason.LIMIT_RANGE_VIOLATED,
        ["spec.resources.limits.memory and spec.resources.requests.memory", "at most 2 times"],
    ),
    # Its default beside our request: pkg/apis/core/validation/validation.go
    (
        POD_INVALID + 'spec.containers[0].resources.requests: Invalid value: "100m": must be less '
        "than or equal to cpu limit of 50m",
        Reason.LIMIT_RANGE_VIOLATED,
        ["spec.resources.limits.cpu", "spec.resources.requests.cpu to at most 50m", "default"],
    ),
    # pod-security-admission/admission/admission.go
    (
        POD + 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
        '(container "mesh" must set securityContext.allowPrivilegeEscalation=false)',
        Reason.POD_SECURITY_VIOLATED,
        ["pod-security.kubernetes.io/enforce (restricted)", "mesh", "webhook"],
    ),
    (
        POD + "unable to validate against any security context constraint: "
        "[provider restricted-v2: .spec.securityContext.fsGroup: Invalid value: []int64{65532}]",
        Reason.POD_SECURITY_VIOLATED,
        ["config.runner.arbitraryUser: true"],
    ),
    # apiserver/pkg/admission/plugin/webhook/errors/statuserror.go, pkg/util/webhook/error.go
    (
        'Error creating: admission webhook "policy.example.com" denied the request: no cost centre',
        Reason.ADMISSION_DENIED,
        ["no cost centre", "config.runner.podLabels"],
    ),
    (
        'Error creating: Internal error occurred: failed calling webhook "hook.example.com": failed '
        'to call webhook: Post "https://hook.gone.svc:443/?timeout=5s": service "hook" not found',
        Reason.ADMISSION_DENIED,
        ["hook.example.com", "does not answer", "namespaceSelector"],
    ),
    (
        'Error creating job: Internal error occurred: failed calling webhook "h": failed to call '
        'webhook: Post "https://h.x.svc:443/": dial tcp 10.0.0.7:443: connect: connection refused',
        Reason.ADMISSION_DENIED,
        ["bring it back"],
    ),
    # apiserver/pkg/admission/plugin/policy/validating/dispatcher.go
    (
        POD + "ValidatingAdmissionPolicy 'images' with binding 'images' denied request: not ours",
        Reason.ADMISSION_DENIED,
        ["ValidatingAdmissionPolicy images refuses"],
    ),
    # plugin/pkg/admission/{priority,serviceaccount,runtimeclass,namespace/lifecycle}
    (
        POD + "no PriorityClass with name reports-high was found",
        Reason.OBJECT_NOT_FOUND,
        ["PriorityClass reports-high", "config.runner.priorityClassName"],
    ),
    (
        POD
        + 'error looking up service account reports/default: serviceaccount "default" not found',
        Reason.OBJECT_NOT_FOUND,
        ["kubectl -n reports create serviceaccount default"],
    ),
    (
        POD + 'pod rejected: RuntimeClass "gvisor" not found',
        Reason.OBJECT_NOT_FOUND,
        ["create RuntimeClass gvisor", "runtimeClassName"],
    ),
    (
        POD + 'volume with secret.secretName="report-db" is not allowed because service account '
        "default does not reference that secret",
        Reason.ADMISSION_DENIED,
        ["ServiceAccount default", "enforce-mountable-secrets"],
    ),
    (
        POD + "unable to create new content in namespace reports because it is being terminated",
        Reason.ADMISSION_DENIED,
        ["is being deleted"],
    ),
    # apiserver/pkg/endpoints/handlers/responsewriters/errors.go
    (
        'jobs.batch is forbidden: User "system:serviceaccount:a:b" cannot create resource "jobs" in '
        'API group "batch" in the namespace "reports"',
        Reason.ADMISSION_DENIED,
        ["system:serviceaccount:a:b lacks the right to create jobs"],
    ),
    # what no row knows
    ("Error creating: something new", Reason.ADMISSION_DENIED, ["something new", "API server's"]),
]


@pytest.mark.parametrize(("text", "reason", "words"), REFUSALS, ids=lambda v: str(v)[:60])
def test_refusal(text: str, reason: Reason, words: list[str]) -> None:
    found = explain_refusal(text, "no pod could be made")
    assert found.reason is reason
    assert found.message.startswith("no pod could be made: ")
    _check(found.message, words)
    assert "Error creating" not in found.message


# pkg/scheduler: framework/types.go (FitError) around the sentences of the plugins.
NOT_HELPFUL = (
    " preemption: 0/{n} nodes are available: {n} Preemption is not helpful for scheduling."
)
NO_VICTIMS = " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
SCHEDULING = [
    # noderesources/fit.go: more than any node has (unresolvable), and nodes that are full
    (
        "0/3 nodes are available: 3 Insufficient cpu." + NOT_HELPFUL.format(n=3),
        Reason.UNSCHEDULABLE,
        ["larger than any node", "lower spec.resources.requests.cpu", "larger node"],
    ),
    (
        "0/1 nodes are available: 1 Insufficient memory." + NO_VICTIMS,
        Reason.UNSCHEDULABLE,
        ["the nodes are full", "spec.resources.requests.memory"],
    ),
    (
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory." + NO_VICTIMS,
        Reason.UNSCHEDULABLE,
        ["spec.resources.requests.cpu", "spec.resources.requests.memory"],
    ),
    (
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu." + NOT_HELPFUL.format(n=1),
        Reason.UNSCHEDULABLE,
        ["requests.nvidia.com/gpu"],
    ),
    ("0/1 nodes are available: 1 Too many pods." + NO_VICTIMS, Reason.UNSCHEDULABLE,
     ["as many pods as they may"]),
    # nodeaffinity
    (
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
        + NOT_HELPFUL.format(n=2),
        Reason.UNSCHEDULABLE,
        ["spec.nodeSelector", "label a node"],
    ),
    # tainttoleration: to 1.34 with the taint, since then without
    (
        "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: etl}."
        + NOT_HELPFUL.format(n=1),
        Reason.UNSCHEDULABLE,
        ["spec.tolerations", "dedicated: etl"],
    ),
    (
        "0/1 nodes are available: 1 node(s) had untolerated taint(s)." + NOT_HELPFUL.format(n=1),
        Reason.UNSCHEDULABLE,
        ["spec.tolerations"],
    ),
    (
        "0/1 nodes are available: 1 node(s) had untolerated taint "
        "{node.kubernetes.io/disk-pressure: }." + NOT_HELPFUL.format(n=1),
        Reason.UNSCHEDULABLE,
        ["the node is disk-pressure"],
    ),
    # nodeunschedulable
    (
        "0/1 nodes are available: 1 node(s) were unschedulable." + NOT_HELPFUL.format(n=1),
        Reason.UNSCHEDULABLE,
        ["kubectl uncordon"],
    ),
    ("no nodes available to schedule pods", Reason.UNSCHEDULABLE, ["kubectl get nodes"]),
    # of several each
    (
        "0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s)."
        " preemption: 0/5 nodes are available: 2 No preemption victims found for incoming pod, 3 "
        "Preemption is not helpful for scheduling.",
        Reason.UNSCHEDULABLE,
        ["spec.resources.requests.cpu", "spec.tolerations"],
    ),
    (
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules." + NO_VICTIMS,
        Reason.UNSCHEDULABLE,
        ["mutating webhook"],
    ),
    # schedulinggates (the condition's message)
    (
        "Scheduling is blocked due to non-empty scheduling gates",
        Reason.UNSCHEDULABLE,
        ["spec.schedulingGates"],
    ),
    # volumebinding/volume_binding.go, binder.go; to 1.34 `had volume node affinity conflict`
    (
        '0/1 nodes are available: persistentvolumeclaim "sre-absent" not found.'
        + NOT_HELPFUL.format(n=1),
        Reason.STORAGE_UNAVAILABLE,
        ["create PersistentVolumeClaim sre-absent", "output.claimName"],
    ),
    # 1.30 and before
    (
        '0/1 nodes are available: 1 persistentvolumeclaim "sre-absent" not found.'
        + NOT_HELPFUL.format(n=1),
        Reason.STORAGE_UNAVAILABLE,
        ["create PersistentVolumeClaim sre-absent"],
    ),
    (
        '0/1 nodes are available: persistentvolumeclaim "c" bound to non-existent '
        'persistentvolume "v".' + NOT_HELPFUL.format(n=1),
        Reason.STORAGE_UNAVAILABLE,
        ["is gone"],
    ),
    (
        '0/1 nodes are available: persistentvolumeclaim "c" is being deleted.'
        + NOT_HELPFUL.format(n=1),
        Reason.STORAGE_UNAVAILABLE,
        ["is being deleted"],
    ),
    (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
        + NOT_HELPFUL.format(n=1),
        Reason.STORAGE_UNAVAILABLE,
        ["spec.storageClassName", "describe pvc"],
    ),
    (
        "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind."
        + NOT_HELPFUL.format(n=1),
        Reason.STORAGE_UNAVAILABLE,
        ["spec.storageClassName"],
    ),
    (
        "0/2 nodes are available: 2 node(s) had volume node affinity conflict."
        + NOT_HELPFUL.format(n=2),
        Reason.STORAGE_UNAVAILABLE,
        ["on a node or in a zone", "ReadWriteMany"],
    ),
    (
        "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity."
        + NOT_HELPFUL.format(n=2),
        Reason.STORAGE_UNAVAILABLE,
        ["spec.nodeSelector", "ReadWriteMany"],
    ),
    (
        "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 1 "
        "Insufficient cpu. preemption: 0/2 nodes are available: 1 No preemption victims found for "
        "incoming pod, 1 Preemption is not helpful for scheduling.",
        Reason.UNSCHEDULABLE,
        ["ReadWriteMany", "spec.resources.requests.cpu"],
    ),
    (
        "0/1 nodes are available: 1 node(s) unavailable due to PersistentVolumeClaim with "
        "ReadWriteOncePod access mode already in-use by another pod." + NO_VICTIMS,
        Reason.STORAGE_UNAVAILABLE,
        ["one pod at a time"],
    ),
    (
        "0/1 nodes are available: 1 node(s) exceed max volume count." + NO_VICTIMS,
        Reason.STORAGE_UNAVAILABLE,
        ["as many volumes"],
    ),
    (
        'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
        Reason.STORAGE_UNAVAILABLE,
        ["not bound"],
    ),
    ("0/9 nodes are available: 9 node(s) have a new word.", Reason.UNSCHEDULABLE, ["a new word"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason", "words"), SCHEDULING, ids=lambda v: str(v)[:70])
def test_no_node(text: str, reason: Reason, words: list[str]) -> None:
    by_field = explain_pending(_pending(unschedulable=text), ())
    by_event = explain_pending(_pending(), [EventNote("FailedScheduling", text)])
    assert by_field is not None
    assert by_field == by_event
    assert by_field.cause == explain_unschedulable(text)
    assert by_field.cause.reason is reason
    _check(by_field.cause.message, words)


# state.waiting of a container: pkg/kubelet/images/types.go, pkg/kubelet/kuberuntime.
WAITING = [
    (
        "ImagePullBackOff",
        'Back-off pulling image "localhost/none:1": ErrImagePull: failed to pull and unpack image '
        '"localhost/none:1": failed to resolve reference "localhost/none:1": localhost/none:1: not '
        "found",
        Reason.IMAGE_UNAVAILABLE,
        ["image.repository and image.tag", "runner:1"],
    ),
    ("ImagePullBackOff", 'Back-off pulling image "x"', Reason.IMAGE_UNAVAILABLE, ["image.tag"]),
    (
        "ErrImagePull",
        "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
        Reason.IMAGE_UNAVAILABLE,
        ["config.runner.imagePullSecrets"],
    ),
    (
        "ErrImagePull",
        "pull access denied, repository does not exist or may require authorization: server "
        "message: insufficient_scope: authorization failed",
        Reason.IMAGE_UNAVAILABLE,
        ["dockerconfigjson"],
    ),
    (
        "ErrImagePull",
        'failed to do request: Head "https://r.example/v2/x/manifests/1": dial tcp: lookup '
        "r.example: no such host",
        Reason.IMAGE_UNAVAILABLE,
        ["do not reach the registry"],
    ),
    (
        "ErrImagePull",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        Reason.IMAGE_UNAVAILABLE,
        ["certificate"],
    ),
    ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit",
     Reason.IMAGE_UNAVAILABLE, ["how often one may pull"]),
    ("ErrImagePull", "no match for platform in manifest: not found", Reason.IMAGE_UNAVAILABLE,
     ["architecture"]),
    (
        "ErrImageNeverPull",
        'Container image "runner:1" is not present with pull policy of Never',
        Reason.IMAGE_UNAVAILABLE,
        ["image.pullPolicy"],
    ),
    (
        "InvalidImageName",
        'Failed to apply default image tag "Runner::1": couldn\'t parse image name "Runner::1": '
        "invalid reference format",
        Reason.IMAGE_UNAVAILABLE,
        ["no name of an image"],
    ),
    ("SignatureValidationFailed", "image pull failed for x because the signature validation failed",
     Reason.IMAGE_UNAVAILABLE, ["signature"]),
    # kuberuntime/security_context_others.go
    (
        "CreateContainerConfigError",
        'container has runAsNonRoot and image will run as root (pod: "daily-x_reports(uid)", '
        "container: report)",
        Reason.CONTAINER_NOT_STARTED,
        ["config.runner.arbitraryUser"],
    ),
    (
        "CreateContainerConfigError",
        "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is "
        'non-root (pod: "daily-x_reports(uid)", container: report)',
        Reason.CONTAINER_NOT_STARTED,
        ["numeric USER"],
    ),
    # kubelet_pods.go
    (
        "CreateContainerConfigError",
        'secret "report-db" not found',
        Reason.CONFIGURATION_ERROR,
        ["Secret report-db", "secretRef"],
    ),
    (
        "CreateContainerConfigError",
        "couldn't find key password in Secret reports/report-db",
        Reason.CONFIGURATION_ERROR,
        ["Secret report-db has no key password"],
    ),
    (
        "CreateContainerConfigError",
        "failed to sync configmap cache: timed out waiting for the condition",
        Reason.CONTAINER_NOT_STARTED,
        ["kubelet"],
    ),
    (
        "RunContainerError",
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        'runc create failed: unable to start container process: exec: "report-generator": '
        "executable file not found in $PATH: unknown",
        Reason.IMAGE_UNAVAILABLE,
        ["no report-generator"],
    ),
    (
        "RunContainerError",
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start "
        "container process: container init was OOM-killed (memory limit too low?): unknown",
        Reason.RESOURCE_EXHAUSTED,
        ["spec.resources.limits.memory"],
    ),
    ("CreateContainerError", "context deadline exceeded", Reason.CONTAINER_NOT_STARTED,
     ["kubectl describe pod"]),
]  # fmt: skip


@pytest.mark.parametrize(("state", "text", "reason", "words"), WAITING)
def test_container_that_waits(state: str, text: str, reason: Reason, words: list[str]) -> None:
    pod = _pending(waiting_reason=state, waiting_message=text)
    # What stands in the fields goes before events of an earlier step.
    found = explain_pending(pod, [EventNote("FailedMount", "timed out waiting for the condition")])
    assert found is not None
    assert found.cause.reason is reason
    _check(found.cause.message, [*words, state])


# Events of kubelet and attach-detach controller (pkg/kubelet/events/event.go) about a pod.
EVENTS = [
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "secret-0" : secret "report-db" not found',
        Reason.CONFIGURATION_ERROR,
        ["Secret report-db does not exist", "secretRef"],
    ),
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "secret-0" : references non-existent secret key: pw',
        Reason.CONFIGURATION_ERROR,
        ["key pw"],
    ),
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "definition" : configmap "daily-012" not found',
        Reason.CONFIGURATION_ERROR,
        ["ConfigMap daily-012 does not exist"],
    ),
    (
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[secret-1], unattached volumes=[], "
        "failed to process volumes=[]: timed out waiting for the condition",
        Reason.CONFIGURATION_ERROR,
        ["secret-1"],
    ),
    (
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[output], unattached volumes=[], "
        "failed to process volumes=[output]: error processing PVC reports/adaf-reports: PVC is not "
        "bound",
        Reason.STORAGE_UNAVAILABLE,
        ["not bound", "output.claimName"],
    ),
    (
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[output], unattached volumes=[], "
        "failed to process volumes=[]: context deadline exceeded",
        Reason.STORAGE_UNAVAILABLE,
        ["output.claimName", "CSI"],
    ),
    (
        "FailedAttachVolume",
        'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other-abc',
        Reason.STORAGE_UNAVAILABLE,
        ["attached to another node", "other-abc"],
    ),
    (
        "FailedAttachVolume",
        'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node '
        "and can't be attached to another",
        Reason.STORAGE_UNAVAILABLE,
        ["attached to another node"],
    ),
    (
        "FailedAttachVolume",
        'AttachVolume.Attach failed for volume "pvc-1" : rpc error: code = DeadlineExceeded',
        Reason.STORAGE_UNAVAILABLE,
        ["driver (CSI)"],
    ),
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "pv" : hostPath type check failed: /srv/x is not a '
        "directory",
        Reason.STORAGE_UNAVAILABLE,
        ["not on that node"],
    ),
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "nfs" : mount failed: exit status 32 mount.nfs: access '
        "denied by server while mounting nas:/reports",
        Reason.STORAGE_UNAVAILABLE,
        ["exports"],
    ),
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "v" : volume uses the ReadWriteOncePod access mode and '
        "is already in use by another pod",
        Reason.STORAGE_UNAVAILABLE,
        ["one pod at a time"],
    ),
    (
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for "
        'sandbox "1": plugin type="bridge" failed (add): no IP addresses left',
        Reason.CONTAINER_NOT_STARTED,
        ["no pod address left"],
    ),
    (
        "FailedCreatePodSandBox",
        'Failed to create pod sandbox: rpc error: code = Unknown desc = RuntimeHandler "gvisor" not '
        "supported",
        Reason.CONTAINER_NOT_STARTED,
        ["runtimeClassName"],
    ),
    (
        "NetworkNotReady",
        "network is not ready: container runtime network not ready: NetworkReady=false reason:"
        "NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
        Reason.CONTAINER_NOT_STARTED,
        ["network plugin"],
    ),
    (
        "Failed",
        'Failed to pull image "r/x:1": rpc error: code = NotFound desc = failed to pull and unpack '
        'image "r/x:1": failed to resolve reference "r/x:1": r/x:1: not found',
        Reason.IMAGE_UNAVAILABLE,
        ["image.tag"],
    ),
    ("Failed", 'Error: secret "report-db" not found', Reason.CONFIGURATION_ERROR, ["report-db"]),
    (
        "FailedToRetrieveImagePullSecret",
        "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not "
        "succeed.",
        Reason.IMAGE_UNAVAILABLE,
        ["regcred", "config.runner.imagePullSecrets"],
    ),
    ("SomethingNew", "the word of a later version", Reason.CONTAINER_NOT_STARTED,
     ["the word of a later version", "kubectl describe pod"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "reason", "words"), EVENTS)
def test_event_about_a_pod(kind: str, text: str, reason: Reason, words: list[str]) -> None:
    found = explain_pending(_pending(waiting_reason="ContainerCreating"), [EventNote(kind, text)])
    assert found is not None
    assert found.cause.reason is reason
    _check(found.cause.message, words)


def test_a_cause_goes_before_the_summary_that_follows_it() -> None:
    events = [
        EventNote("FailedMount", EVENTS[0][1]),
        EventNote("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[secret-0], "
                  "unattached volumes=[]: timed out waiting for the condition"),
        EventNote("FailedMount", "timed out waiting for the condition"),
    ]  # fmt: skip
    found = explain_pending(_pending(), events)
    assert found is not None
    assert found.cause.reason is Reason.CONFIGURATION_ERROR


def test_what_is_over_blocks_no_more() -> None:
    mount = EventNote("FailedMount", EVENTS[0][1])
    pulling = EventNote("Pulling", 'Pulling image "runner:1"', warning=False)
    assert explain_pending(_pending(), [mount, pulling]) is None
    assert explain_pending(_pending(), [pulling, mount]) is not None
    refused = EventNote("FailedCreate", REFUSALS[0][0])
    made = EventNote("SuccessfulCreate", "Created pod: daily-1-x", warning=False)
    assert explain_pending(None, [refused, made]) is None
    assert explain_refused([refused, made], "no Job could be made") is None


def test_a_slot_whose_job_was_refused() -> None:
    found = explain_refused(
        [EventNote("FailedCreate", REFUSALS[5][0])], "the CronJob controller could not make its Job"
    )
    assert found is not None
    assert found.reason is Reason.QUOTA_EXCEEDED
    assert explain_refused([EventNote("MissSchedule", "Missed scheduled time")], "x") is None


@pytest.mark.parametrize(
    "said", ["x" * 5000, 'admission webhook "w" denied the request: ' + "y " * 4000]
)
def test_a_long_message_leaves_room_for_the_remedy(said: str) -> None:
    found = explain_refusal(said, "no pod could be made")
    assert len(found.message) <= PENDING_LIMIT
    assert "(cut)" in found.message
    assert found.message.rindex("; ") > found.message.index("(cut)")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("FailedMount", f'secret "{"s" * 960}" not found'),
        ("FailedScheduling", f'persistentvolumeclaim "{"c" * 960}" not found'),
        ("Failed", "image " + "x" * 960),
        ("", ""),
    ],
)
def test_a_long_name_in_an_event_that_anybody_may_write(kind: str, text: str) -> None:
    found = explain_pending(_pending(), [EventNote(kind, text)])
    assert found is not None
    assert len(found.cause.message) <= PENDING_LIMIT
    assert len(explain_refusal(text).message) <= PENDING_LIMIT


def _pending(**changes: object):
    values = {"phase": "Pending", "exit_code": None, "exit_reason": "", "started_at": None}
    return make_pod(**{**values, **changes})


def _check(message: str, words: list[str]) -> None:
    assert not [word for word in words if word not in message], message
    assert not NO_REMEDY.search(message)
    assert len(message) <= PENDING_LIMIT
    assert "\n" not in message
    if "memory" not in " ".join(words):
        assert "limits.memory" not in message
