"""Why no node takes a pod: the scheduler's sentences → reason and remedy.

`0/5 nodes are available: 2 Insufficient cpu, 3 node(s) had untolerated taint(s). preemption: 0/5
nodes are available: ...` (FitError.Error in pkg/scheduler/framework/types.go): one part for each
obstacle, with the number of nodes that it keeps away.
"""

from __future__ import annotations

import re

from report_operator.domain.runs.cause import Cause, with_remedy
from report_operator.domain.runs.message_rules import rule
from report_runner.contract.reasons import Reason

_CLAIM = "(output.claimName of the chart names it)"

# Where every node is ruled out for good, and for want of room, none is large enough: an
# unresolvable status means that the request is more than the node's allocatable amount
# (plugins/noderesources/fit.go).
_NOT_HELPFUL = re.compile(
    r"preemption: 0/(?P<nodes>\d+) nodes are available: (?P<ruled_out>\d+) "
    r"Preemption is not helpful for scheduling"
)


def _lower_request(match: re.Match[str]) -> str:
    resource = match["resource"]
    field = f"spec.resources.requests.{resource}"
    ruled_out = _NOT_HELPFUL.search(match.string)
    if ruled_out and ruled_out["nodes"] == ruled_out["ruled_out"]:
        return (
            f"the request of {resource} is larger than any node that suits, even an empty one: "
            f"lower {field} (or config.runner.defaultResources.requests.{resource}), or add a "
            "larger node"
        )
    return (
        f"the nodes are full: wait until {resource} is free, lower {field} (or "
        f"config.runner.defaultResources.requests.{resource}), or add a node"
    )


_SCHEDULING = (
    # -- volumes: plugins/volumebinding, volumezone, volumerestrictions, nodevolumelimits ------
    rule(
        r'persistentvolumeclaim "(?P<claim>[^"]+)" not found',
        Reason.STORAGE_UNAVAILABLE,
        f"create PersistentVolumeClaim {{claim}} in this namespace, or correct its name {_CLAIM}",
    ),
    rule(
        r'persistentvolumeclaim "(?P<claim>[^"]+)" bound to non-existent persistentvolume|'
        r"bound to non-existent pv",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim's PersistentVolume is gone: restore it, or make the claim anew {_CLAIM}",
    ),
    rule(
        r'persistentvolumeclaim "(?P<claim>[^"]+)" is being deleted',
        Reason.STORAGE_UNAVAILABLE,
        "PersistentVolumeClaim {claim} is being deleted: it goes when no pod uses it; then make it "
        "anew",
    ),
    rule(
        r"pod has unbound immediate PersistentVolumeClaims|"
        r"didn't find available persistent volumes to bind|provisioning failed for PVC|"
        r'plugin "VolumeBinding"',
        Reason.STORAGE_UNAVAILABLE,
        f"the claim {_CLAIM} is not bound to a volume: kubectl describe pvc says why; set "
        "spec.storageClassName of the claim to a StorageClass that can provision it, or add a "
        "PersistentVolume that fits",
    ),
    # since 1.35 `didn't match PersistentVolume's node affinity`
    rule(
        r"had volume node affinity conflict|didn't match PersistentVolume's node affinity|"
        r"had no available volume zone",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim's volume {_CLAIM} is on a node or in a zone where the pod cannot go: let "
        "spec.nodeSelector, spec.tolerations and config.runner.nodeSelector allow that node, make "
        "room on it, or use a volume that every node reaches (accessModes: ReadWriteMany)",
    ),
    rule(
        r"ReadWriteOncePod access mode already in-use",
        Reason.STORAGE_UNAVAILABLE,
        f"the claim {_CLAIM} lets one pod at a time use it: wait for that pod, or make the claim "
        "with accessModes: ReadWriteMany (or ReadWriteOnce on one node)",
    ),
    rule(
        r"exceed max volume count|had no available disk",
        Reason.STORAGE_UNAVAILABLE,
        "the nodes have as many volumes attached as they can: wait until one is free, or add a "
        "node",
    ),
    rule(
        r"did not have enough free storage",
        Reason.STORAGE_UNAVAILABLE,
        f"no storage has room for the claim {_CLAIM}: lower its spec.resources.requests.storage, "
        "or extend the storage",
    ),
    # -- room: plugins/noderesources/fit.go ---------------------------------------------------
    rule(r"Insufficient (?P<resource>[\w./-]*\w)", Reason.UNSCHEDULABLE, _lower_request),
    rule(
        r"\d+ Too many pods",
        Reason.UNSCHEDULABLE,
        "the nodes have as many pods as they may: wait until one ends, or add a node",
    ),
    # -- which nodes suit ---------------------------------------------------------------------
    rule(
        r"didn't match Pod's node affinity/selector|didn't match node selector|"
        r"didn't satisfy plugin\(s\) \[NodeAffinity\]|Predicate NodeAffinity failed",
        Reason.UNSCHEDULABLE,
        "no node has the labels of spec.nodeSelector (with config.runner.nodeSelector): correct "
        "it, or label a node (kubectl get nodes --show-labels)",
    ),
    # Taints of nodes that are not well (node.kubernetes.io/not-ready and others); 1.36 does not
    # name the taint any more.
    rule(
        r"untolerated taint \{node\.kubernetes\.io/(?P<taint>[\w-]+)",
        Reason.UNSCHEDULABLE,
        "the node is {taint}: kubectl describe nodes says why; the pod starts when it is well",
    ),
    rule(
        r"had untolerated taint|had taints that the pod didn't tolerate",
        Reason.UNSCHEDULABLE,
        "set spec.tolerations (or config.runner.tolerations) for the taint, or take it from a node "
        "(kubectl describe nodes shows taints, and whether a node is not ready)",
    ),
    rule(
        r"node\(s\) were unschedulable",
        Reason.UNSCHEDULABLE,
        "the node is cordoned: kubectl uncordon NODE, or wait until its maintenance is over",
    ),
    rule(
        r"no nodes available to schedule pods|0/0 nodes are available|had unknown conditions",
        Reason.UNSCHEDULABLE,
        "the cluster has no node that is ready: kubectl get nodes",
    ),
    rule(
        r"pod (?:anti-)?affinity|anti-affinity rules|topology spread constraints|"
        r"free ports for the requested pod ports|requested node name|scheduler-enforced",
        Reason.UNSCHEDULABLE,
        "pods of runs have no such rule themselves: correct what adds it (a mutating webhook, or a "
        "Job edited by hand)",
    ),
    # plugins/schedulinggates
    rule(
        r"scheduling gates",
        Reason.UNSCHEDULABLE,
        "a controller that put spec.schedulingGates on the pod has not taken it away: ask who runs "
        "it; pods of runs have none themselves",
    ),
)


def explain_unschedulable(text: str) -> Cause:
    """Why no node takes the pod; where several things are in the way each has its remedy."""
    said = f"no node takes the pod: {text}"
    obstacles = len(text.partition(" preemption: ")[0])
    found = [
        (row.reason, row.advise(match))
        for row in _SCHEDULING
        for match in row.pattern.finditer(text)
        if match.start() < obstacles
    ]
    if not found:
        remedy = "wait, or ask who runs the cluster: it is none of the usual obstacles"
        return Cause(Reason.UNSCHEDULABLE, with_remedy(said, remedy))
    # With nothing in the way but the volume it is a matter of storage.
    storage = {reason for reason, _ in found} == {Reason.STORAGE_UNAVAILABLE}
    remedy = "; or ".join(dict.fromkeys(remedy for _, remedy in found))
    return Cause(
        Reason.STORAGE_UNAVAILABLE if storage else Reason.UNSCHEDULABLE,
        with_remedy(said, remedy),
    )
