"""Why a node does not start a pod's container: the kubelet's sentences → reason and remedy.

Which table is read is decided by a field: the reason of the container's state `waiting`, or the
reason of an Event about the pod.
"""

from __future__ import annotations

from report_operator.domain.runs.message_rules import MessageRule, rule
from report_runner.contract.reasons import Reason

_IMAGE = "(image.repository and image.tag of the chart)"
_DESCRIBE = "kubectl describe pod has the node's events; ask who runs the node"

# -- objects that the pod names: pkg/kubelet/kubelet_pods.go, pkg/volume/secret, configmap -------
# The definition's ConfigMap is made by the operator, Secrets are the author's.
REFERENCES = (
    rule(
        r'secret "(?P<secret>[^"]+)" not found',
        Reason.CONFIGURATION_ERROR,
        "Secret {secret} does not exist in this namespace: create it, or correct the secretRef "
        "that names it",
    ),
    rule(
        r'configmap "(?P<name>[^"]+)" not found',
        Reason.CONFIGURATION_ERROR,
        "ConfigMap {name} does not exist in this namespace: if it is the definition of the "
        "schedule, change nothing but retry the run (the operator makes it anew); else create it",
    ),
    rule(
        r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) [^/\s]+/(?P<name>\S+)",
        Reason.CONFIGURATION_ERROR,
        "{kind} {name} has no key {key}: add it, or correct what names it",
    ),
    rule(
        r"references non-existent (?P<kind>secret|config) key: (?P<key>\S+)",
        Reason.CONFIGURATION_ERROR,
        "a {kind} volume of the pod names key {key}, which is not there: add it to the object",
    ),
    # pkg/kubelet/util/manager: a kubelet that does not reach the API server, or has no right yet
    rule(
        r"failed to sync (?:secret|configmap) cache: ",
        Reason.CONTAINER_NOT_STARTED,
        "the node's kubelet does not get Secrets and ConfigMaps from the API server: " + _DESCRIBE,
    ),
)

# -- volumes: pkg/volume/util/operationexecutor, pkg/kubelet/volumemanager -----------------------
_CLAIM = "(output.claimName of the chart names the claim)"
VOLUMES = (
    *REFERENCES,
    rule(
        r'persistentvolumeclaims? "(?P<claim>[^"]+)" not found',
        Reason.STORAGE_UNAVAILABLE,
        f"create PersistentVolumeClaim {{claim}} in this namespace, or correct its name {_CLAIM}",
    ),
    rule(
        r"PVC is not bound|PVC has empty pvc\.Spec\.VolumeName|not yet bound to the claim",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim is not bound to a volume {_CLAIM}: kubectl describe pvc says why; "
        "spec.storageClassName of the claim has to be a StorageClass that provisions",
    ),
    rule(
        r"PVC is being deleted",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim is being deleted {_CLAIM}: make it anew when it is gone",
    ),
    rule(
        r"failed to fetch PV (?P<volume>\S+) from API server|does not point to claim",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim's PersistentVolume is gone or another claim's {_CLAIM}: make the claim anew",
    ),
    # pkg/controller/volume/attachdetach/reconciler/reconciler.go
    rule(
        r"Multi-Attach error for volume",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim's volume is attached to another node {_CLAIM} and can be on one at a time: "
        "wait for the pods there to end, bind all to one node by config.runner.nodeSelector, or "
        "use accessModes: ReadWriteMany",
    ),
    rule(
        r"ReadWriteOncePod access mode and is already in use",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim lets one pod at a time use it {_CLAIM}: wait for that pod, or make the claim "
        "with accessModes: ReadWriteMany",
    ),
    rule(
        r"volume attachment limit",
        Reason.STORAGE_UNAVAILABLE,
        "the node has as many volumes attached as it can: run it again, or add a node",
    ),
    rule(
        r"access denied by server|[Pp]ermission denied",
        Reason.STORAGE_UNAVAILABLE,
        f"the storage server refuses this node {_CLAIM}: its exports or access rules have to allow "
        "it",
    ),
    rule(
        r"hostPath type check failed|local volume .* does not exist|path \S+ does not exist",
        Reason.STORAGE_UNAVAILABLE,
        "the directory of the PersistentVolume is not on that node: make it, or correct the "
        "volume's path and nodeAffinity",
    ),
    # unmounted volumes=[secret-0 secret-1]: none but Secrets, no event has said which yet
    rule(
        r"unmounted volumes=\[(?P<volumes>(?:secret-\d+,? ?)+)\]",
        Reason.CONFIGURATION_ERROR,
        "Secrets of the schedule cannot be mounted ({volumes}, counted from 0 in the order of "
        "their names): check that each secretRef of the spec names a Secret of this namespace",
    ),
    rule(
        r"unmounted volumes=\[definition\]",
        Reason.CONFIGURATION_ERROR,
        "the ConfigMap of the definition cannot be mounted: retry the run",
    ),
)
VOLUME_REMEDY = (
    f"the storage behind the claim {_CLAIM} cannot be mounted: kubectl describe pvc and pod; is "
    "its driver (CSI) at work on the node?"
)

# -- images: pkg/kubelet/images/image_manager.go; the sentences are the container runtime's -------
_NO_IMAGE = f"correct the image's name or tag {_IMAGE}, or push it to that registry"
IMAGES = (
    rule(
        r"not present with pull policy of Never",
        Reason.IMAGE_UNAVAILABLE,
        "load the image onto the node, or set image.pullPolicy: IfNotPresent",
    ),
    rule(
        r"couldn't parse image|invalid reference format|Failed to apply default image tag",
        Reason.IMAGE_UNAVAILABLE,
        f"that is no name of an image: correct it {_IMAGE}",
    ),
    rule(
        r"(?i)toomanyrequests|too many requests|rate limit",
        Reason.IMAGE_UNAVAILABLE,
        "the registry limits how often one may pull: wait, log in by config.runner."
        "imagePullSecrets, or use a mirror",
    ),
    # Before `not found`: one that wants a login says "does not exist or may require".
    rule(
        r"(?i)unauthorized|authentication required|authorization failed|pull access denied|"
        r"no basic auth credentials|403 forbidden|401|insufficient_scope|denied: ",
        Reason.IMAGE_UNAVAILABLE,
        "the registry wants other credentials: name a Secret of this namespace of type "
        "kubernetes.io/dockerconfigjson in config.runner.imagePullSecrets",
    ),
    rule(
        r"(?i)no match for platform|no matching manifest",
        Reason.IMAGE_UNAVAILABLE,
        f"the image is not made for the node's architecture {_IMAGE}: set config.runner."
        "nodeSelector (kubernetes.io/arch), or push one that is",
    ),
    rule(
        r"(?i)x509|certificate|tls: ",
        Reason.IMAGE_UNAVAILABLE,
        "the nodes do not trust the registry's certificate: their container runtime needs its CA",
    ),
    rule(
        r"(?i)no space left on device",
        Reason.IMAGE_UNAVAILABLE,
        "the node's disk is full: free space on it (kubectl describe nodes)",
    ),
    rule(r"(?i)manifest unknown|not found|404|does not exist", Reason.IMAGE_UNAVAILABLE, _NO_IMAGE),
    rule(
        r"(?i)no such host|i/o timeout|connection refused|deadline exceeded|timeout|"
        r"network is unreachable|no route to host|server misbehaving|RegistryUnavailable|"
        r"Bad Gateway|Service Unavailable|EOF",
        Reason.IMAGE_UNAVAILABLE,
        f"the nodes do not reach the registry: is it up, does its name resolve there {_IMAGE}?",
    ),
    rule(
        r"(?i)signature",
        Reason.IMAGE_UNAVAILABLE,
        "the image's signature is not accepted on the nodes: sign it, or change their policy",
    ),
    # A pull without a Secret that config names goes on, and mostly fails
    rule(
        r"Unable to retrieve some image pull secrets \((?P<names>[^)]*)\)",
        Reason.IMAGE_UNAVAILABLE,
        "create the pull Secret in this namespace ({names}), or correct "
        "config.runner.imagePullSecrets",
    ),
)
IMAGE_REMEDY = f"{_NO_IMAGE}; config.runner.imagePullSecrets names what logs in there"

# -- containers: pkg/kubelet/kuberuntime; after the prefix the runtime's own sentence -------------
CONTAINERS = (
    *REFERENCES,
    # pkg/kubelet/kuberuntime/security_context_others.go
    rule(
        r"runAsNonRoot and image (?:will run as root|has non-numeric user)|breaks non-root policy",
        Reason.CONTAINER_NOT_STARTED,
        "with config.runner.arbitraryUser: true the platform has to assign a user that is not "
        "root; where it does not, set it to false, or give the image a numeric USER",
    ),
    # runc: the limit is less than what starting a process takes
    rule(
        r"(?i)memory limit too low|container init was OOM-killed|cannot allocate memory",
        Reason.RESOURCE_EXHAUSTED,
        "the memory limit is too low to start at all: raise spec.resources.limits.memory",
    ),
    rule(
        r"(?i)exec format error",
        Reason.IMAGE_UNAVAILABLE,
        f"the image is made for another architecture than the node's {_IMAGE}: set "
        "config.runner.nodeSelector (kubernetes.io/arch), or push one that is",
    ),
    rule(
        r"(?i)executable file not found|exec: .*no such file or directory|"
        r"report-generator.*: not found",
        Reason.IMAGE_UNAVAILABLE,
        f"the image has no report-generator: it is another one {_IMAGE}",
    ),
    rule(
        r"(?i)no space left on device",
        Reason.CONTAINER_NOT_STARTED,
        "the node's disk is full: free space on it (kubectl describe nodes)",
    ),
    # kuberuntime_sandbox.go; the network plugin's
    rule(
        r"(?i)RuntimeHandler \"?(?P<name>[^\s\"]+)\"? not supported|"
        r"no runtime for \"?(?P<other>[^\s\"]+)\"? is configured",
        Reason.CONTAINER_NOT_STARTED,
        "the node does not have the RuntimeClass's handler: correct what sets runtimeClassName "
        "(pods of runs name none), or the node's container runtime",
    ),
    rule(
        r"(?i)no IP addresses? (?:left|available)|failed to allocate for range|range is full",
        Reason.CONTAINER_NOT_STARTED,
        "the node has no pod address left: wait until pods on it end, or have its range enlarged",
    ),
    rule(
        r"(?i)plugin type=|cni|network is not ready|NetworkPluginNotReady|NetworkReady=false",
        Reason.CONTAINER_NOT_STARTED,
        "the pod network does not work on that node: kubectl -n kube-system get pods -o wide "
        "(its network plugin)",
    ),
)
CONTAINER_REMEDY = _DESCRIBE

# Reasons of state.waiting, and of the Events that tell of the same before a state does.
IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        # Events
        "InspectFailed",
        "FailedToRetrieveImagePullSecret",
    }
)
VOLUME_EVENTS = frozenset(
    {"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedMountOnFilesystemMismatch"}
)
CONTAINER_REASONS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "ContainerCannotRun",
        "StartError",
        "CrashLoopBackOff",
        # Events
        "FailedCreatePodSandBox",
        "FailedCreatePodContainer",
        "NetworkNotReady",
        "FailedSync",
        "FailedPrepareDynamicResources",
    }
)


def table_of(reason: str) -> tuple[tuple[MessageRule, ...], Reason, str] | None:
    """The table for a state's or an Event's reason, and what holds where no row of it matches."""
    if reason in IMAGE_REASONS:
        return IMAGES, Reason.IMAGE_UNAVAILABLE, IMAGE_REMEDY
    if reason in VOLUME_EVENTS:
        return VOLUMES, Reason.STORAGE_UNAVAILABLE, VOLUME_REMEDY
    if reason in CONTAINER_REASONS:
        return CONTAINERS, Reason.CONTAINER_NOT_STARTED, CONTAINER_REMEDY
    return None
