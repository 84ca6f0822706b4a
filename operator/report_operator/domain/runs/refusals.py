"""Why the API server refused a pod or a Job: its admission's sentences → reason and remedy.

The same sentences come as an answer to a request of ours, and in Events: FailedCreate about a Job
(the Job controller, for its pods) and about a CronJob (the CronJob controller, for its Jobs).
"""

from __future__ import annotations

import re

from report_operator.domain.runs.cause import Cause, with_remedy
from report_operator.domain.runs.message_rules import explain, rule
from report_runner.contract.reasons import Reason

# What stands before the sentence: of the controllers, and of errors.NewForbidden / NewInvalid.
_PREFIX = re.compile(
    r'^(?:Error creating(?: job)?: )?(?:(?P<kind>[\w.]+) "[^"]*" is (?:forbidden|invalid): )?'
)
# `must specify limits.cpu for: report; memory for: report`, before 1.22 `must specify limits.cpu`
_MISSING = re.compile(r"(?P<name>[a-z][\w./-]*)(?: for: [\w.,-]+)?")
_AMOUNT = re.compile(r"(?P<name>[\w./-]+)=")
_COUNTED = {"pods", "count/pods", "count/jobs.batch", "jobs.batch"}
# `maximum cpu usage per Container is 1, but limit is 2` and its like (limitranger/admission.go)
_BOUND = re.compile(
    r"(?P<bound>maximum|minimum) (?P<resource>[\w./-]+) usage per (?P<type>\w+) is "
    r"(?P<amount>[\w.]*\w)"
    r"(?:\.\s+No (?P<missing>request|limit) is specified|, but (?P<which>request|limit) is )"
)


NO_JOB = "its Job could not be made"
# Of the answers of an API server those that say no; 409 is another writer's, or AlreadyExists.
_REFUSED = (400, 403, 405, 413, 422)


def is_refusal(status: int, message: str) -> bool:
    """Whether an answer says that this object may not be, and not that the server does not serve.

    A webhook that does not answer is an internal error of the API server.
    """
    return status in _REFUSED or "failed calling webhook" in message


def explain_refusal(text: str, what: str = "") -> Cause:
    """Why an object was refused. `what` stands before it: `no pod could be made`."""
    said = _PREFIX.sub("", text) or text
    prefix = f"{what}: " if what else ""
    found = explain(said, _REFUSALS, prefix)
    if found is not None:
        return found
    return Cause(
        Reason.ADMISSION_DENIED,
        with_remedy(
            f"{prefix}{said}",
            "the message is the API server's: mend what it names, or ask who runs the cluster",
        ),
    )


def spec_field(resource: str) -> str:
    """A quota's name of a resource → the ReportSchedule's field: `limits.cpu`, `cpu`, ..."""
    kind, _, name = resource.rpartition(".")
    if kind not in ("limits", "requests"):
        kind, name = "requests", resource
    return f"spec.resources.{kind}.{name}"


def _default_field(resource: str) -> str:
    return spec_field(resource).replace("spec.resources.", "config.runner.defaultResources.")


def _name_amounts(match: re.Match[str]) -> str:
    named = [
        found["name"]
        for part in match["what"].split(";")
        for found in _MISSING.finditer(part.partition(" for:")[0])
    ]
    fields = " and ".join(spec_field(name) for name in named)
    defaults = " and ".join(_default_field(name) for name in named)
    return (
        f"ResourceQuota {match['quota']} wants an amount of it from every pod: set {fields} in the "
        f"ReportSchedule, or {defaults} of the chart for all schedules"
    )


def _raise_quota(match: re.Match[str]) -> str:
    names = [found["name"] for found in _AMOUNT.finditer(match["requested"])]
    ways = [f"raise spec.hard of ResourceQuota {match['quota']} ({', '.join(names)})"]
    amounts = [name for name in names if name not in _COUNTED]
    if amounts:
        ways.append(f"lower {' and '.join(spec_field(name) for name in amounts)}")
    if "jobs.batch" in match["requested"]:
        ways.append(
            "delete finished Jobs of the namespace, or have fewer kept (config.history.keep*Jobs)"
        )
    elif not amounts:
        ways.append("delete pods of the namespace that are not needed")
    return ", or ".join(ways)


def _keep_bounds(match: re.Match[str]) -> str:
    told = []
    for found in _BOUND.finditer(match.string):
        kind = "limits" if "limit" in (found["missing"], found["which"]) else "requests"
        field = f"spec.resources.{kind}.{found['resource']}"
        fewest = "at most" if found["bound"] == "maximum" else "at least"
        of = "" if found["type"] == "Container" else f" for the whole {found['type']}"
        told.append(f"set {field} to {fewest} {found['amount']}{of}")
    return " and ".join(dict.fromkeys(told)) + (
        " in the ReportSchedule, or have the LimitRange of the namespace changed"
    )


# In order: the first that matches counts.
_REFUSALS = (
    # -- ResourceQuota: apiserver/pkg/admission/plugin/resourcequota/controller.go ------------
    # failed quota: NAME: must specify limits.cpu for: report (quota/v1/evaluator/core/pods.go)
    rule(
        r"failed quota: (?P<quota>[^:\s]+): must specify (?P<what>.+)",
        Reason.QUOTA_EXCEEDED,
        _name_amounts,
    ),
    # exceeded quota: NAME, requested: pods=1, used: pods=4, limited: pods=4
    rule(
        r"exceeded quota: (?P<quota>[^,\s]+), requested: (?P<requested>.*?)(?:, used: |$)",
        Reason.QUOTA_EXCEEDED,
        _raise_quota,
    ),
    # insufficient quota to consume: pods; insufficient quota to match these scopes: [{...}]
    rule(
        r"insufficient quota to (?:consume|match these scopes): ",
        Reason.QUOTA_EXCEEDED,
        "the cluster allows this only where a ResourceQuota covers it: have one made in this "
        "namespace, or change config.runner.priorityClassName where the scope is PriorityClass",
    ),
    # status unknown for quota: NAME, resources: limits.cpu
    rule(
        r"status unknown for quota: (?P<quota>[^,\s]+)",
        Reason.QUOTA_EXCEEDED,
        "ResourceQuota {quota} is not counted yet: this passes within seconds, unless the quota "
        "controller does not run (kubectl -n kube-system get pods)",
    ),
    rule(
        r"quota usage is negative|resource quota evaluation timed out|error resolving quota",
        Reason.QUOTA_EXCEEDED,
        "the API server could not count the ResourceQuotas of the namespace: it is tried again",
    ),
    # -- LimitRange: plugin/pkg/admission/limitranger/admission.go ----------------------------
    rule(_BOUND.pattern, Reason.LIMIT_RANGE_VIOLATED, _keep_bounds),
    # cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000
    rule(
        r"(?P<resource>[\w./-]+) max limit to request ratio per \w+ is (?P<amount>[\w.]*\w)",
        Reason.LIMIT_RANGE_VIOLATED,
        "set both spec.resources.limits.{resource} and spec.resources.requests.{resource} in the "
        "ReportSchedule, the limit at most {amount} times the request, or have the LimitRange of "
        "the namespace changed",
    ),
    # A default of the LimitRange that is less than the pod's own request
    # (pkg/apis/core/validation/validation.go).
    rule(
        r"must be less than or equal to (?P<resource>[\w./-]+) limit of (?P<limit>[\w.]*\w)",
        Reason.LIMIT_RANGE_VIOLATED,
        "the limit is the default of a LimitRange of the namespace: set spec.resources.limits."
        "{resource} in the ReportSchedule to at least the request, or spec.resources.requests."
        "{resource} to at most {limit}, or have spec.limits[].default of the LimitRange raised",
    ),
    rule(
        r"there was an error enforcing limit ranges",
        Reason.LIMIT_RANGE_VIOLATED,
        "the API server could not read the LimitRanges of the namespace: it is tried again",
    ),
    # -- Pod Security: pod-security-admission/admission/admission.go --------------------------
    rule(
        r'violates PodSecurity "(?P<level>[^":]+)',
        Reason.POD_SECURITY_VIOLATED,
        "pods of runs keep to level restricted as the operator makes them: take out what adds the "
        "named fields (a mutating webhook, a sidecar, a Job edited by hand), or have the "
        "namespace's label pod-security.kubernetes.io/enforce ({level}) changed",
    ),
    # OpenShift's SCC
    rule(
        r"unable to validate against any security context constraint",
        Reason.POD_SECURITY_VIOLATED,
        "set config.runner.arbitraryUser: true, so that the platform chooses user and group",
    ),
    # -- names of cluster objects -------------------------------------------------------------
    # plugin/pkg/admission/priority/admission.go
    rule(
        r"no PriorityClass with name (?P<name>\S+) was found",
        Reason.OBJECT_NOT_FOUND,
        "create PriorityClass {name}, or correct config.runner.priorityClassName",
    ),
    # plugin/pkg/admission/serviceaccount/admission.go
    rule(
        r"error looking up service account (?P<namespace>[^/\s]+)/(?P<name>[^:\s]+): ",
        Reason.OBJECT_NOT_FOUND,
        "ServiceAccount {name} is missing in namespace {namespace}: kubectl -n {namespace} create "
        "serviceaccount {name}; Kubernetes makes the one named default itself, unless its "
        "controller does not run",
    ),
    rule(
        r"is not allowed because service account (?P<name>\S+) does not reference that",
        Reason.ADMISSION_DENIED,
        "ServiceAccount {name} is annotated kubernetes.io/enforce-mountable-secrets: add the "
        "Secret to its `secrets` (or `imagePullSecrets`), or take the annotation away",
    ),
    # plugin/pkg/admission/runtimeclass/admission.go
    rule(
        r'RuntimeClass "(?P<name>[^"]+)" not found',
        Reason.OBJECT_NOT_FOUND,
        "create RuntimeClass {name}, or correct what sets runtimeClassName: pods of runs name none "
        "themselves, so a mutating webhook or an edited Job does",
    ),
    # plugin/pkg/admission/namespace/lifecycle
    rule(
        r"unable to create new content in namespace (?P<name>\S+) because it is being terminated",
        Reason.ADMISSION_DENIED,
        "namespace {name} is being deleted: nothing starts in it any more",
    ),
    rule(
        r'namespaces "(?P<name>[^"]+)" not found',
        Reason.OBJECT_NOT_FOUND,
        "namespace {name} does not exist any more",
    ),
    # -- webhooks and policies ----------------------------------------------------------------
    # apiserver/pkg/admission/plugin/webhook/errors/statuserror.go
    rule(
        r'admission webhook "(?P<name>[^"]+)" denied the request',
        Reason.ADMISSION_DENIED,
        "the webhook's owner decides this: what it wants of labels and annotations goes into "
        "config.runner.podLabels and podAnnotations, of resources into spec.resources; else have "
        "the namespace excluded in its namespaceSelector",
    ),
    # apiserver/pkg/util/webhook/error.go
    rule(
        r'failed calling webhook "(?P<name>[^"]+)"',
        Reason.ADMISSION_DENIED,
        "the webhook's server does not answer: bring it back (kubectl get "
        "validatingwebhookconfigurations,mutatingwebhookconfigurations; the Service in "
        "webhooks[].clientConfig), or have the namespace excluded in its namespaceSelector",
    ),
    # apiserver/pkg/admission/plugin/policy/validating/dispatcher.go, generic/policy_dispatcher.go
    rule(
        r"(?:ValidatingAdmissionPolicy|[Pp]olicy) ['\"](?P<name>[^'\"]+)['\"]"
        r"(?: with binding '[^']+')? denied request",
        Reason.ADMISSION_DENIED,
        "ValidatingAdmissionPolicy {name} refuses it: mend what its message names, or ask who "
        "maintains the policy",
    ),
    # -- rights: apiserver/pkg/endpoints/handlers/responsewriters/errors.go -------------------
    rule(
        r'User "(?P<user>[^"]+)" cannot (?P<verb>[\w-]+) resource "(?P<resource>[^"]+)"',
        Reason.ADMISSION_DENIED,
        "{user} lacks the right to {verb} {resource}: bind a Role with it (the chart's rbac.yaml "
        "has all that the operator and the admin API need)",
    ),
)
