"""NetworkPolicies enforced on the local node, by the engine of sigs.k8s.io/kube-network-policies.

Every first packet of a connection from or to a pod is held by the kernel until the engine has said
whether it may pass. kind's own network has the same engine.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.image.programs import go_program
from hack.localcluster.cluster import Cluster
from hack.localcluster.network import POD_SUBNET
from hack.testbed.waiting import wait_for

SOURCE = Path(__file__).resolve().parents[1] / "services" / "netpol"
QUEUE = 100
# Where the engine asks as well, after the address of a Service was translated, and on the way into
# the node, where it does not: with the API server on another machine a pod's way leads out, too.
# Without an engine that listens nothing passes. What the node's own programs send is never asked
# about: the kubelet's probes come in whatever a policy says, as on every network.
_RULES = f"""*mangle
:policies - [0:0]
-A policies -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A policies -s {POD_SUBNET} -j NFQUEUE --queue-num {QUEUE}
-A policies -d {POD_SUBNET} -j NFQUEUE --queue-num {QUEUE}
-A POSTROUTING -m owner --uid-owner 0 -j RETURN
-A POSTROUTING -j policies
-A INPUT -s {POD_SUBNET} -j policies
COMMIT
"""
_NO_RULES = "*mangle\nCOMMIT\n"


@contextmanager
def policy_engine(cluster: Cluster) -> Iterator[Path]:
    """NetworkPolicies count on this node meanwhile; the engine's log.

    Connections that were open before stay open, as on other networks.
    """
    inside = ("nsenter", f"--net={cluster.netns}", "--")
    log = cluster.logs("netpol")
    command = (
        str(go_program(SOURCE)),
        f"--kubeconfig={cluster.component_kubeconfig('kube-controller-manager')}",
        f"--node={cluster.name}",
        f"--queue={QUEUE}",
        "-v=2",
    )
    with log.open("w") as out, subprocess.Popen([*inside, *command], stdout=out, stderr=out) as it:
        try:
            wait_for(
                "the policy engine listens",
                lambda: _listens(inside) or it.poll() is not None,
                120,
                log.read_text,
            )
            assert it.poll() is None, log.read_text()
            _lay(inside, _RULES)
            yield log
            assert it.poll() is None, log.read_text()[-4000:]
        finally:
            try:
                _lay(inside, _NO_RULES)
            finally:
                it.terminate()


def _listens(inside: tuple[str, ...]) -> bool:
    done = subprocess.run(
        [*inside, "cat", "/proc/net/netfilter/nfnetlink_queue"],
        capture_output=True,
        text=True,
        check=False,
    )
    return any(line.split()[:1] == [str(QUEUE)] for line in done.stdout.splitlines())


def _lay(inside: tuple[str, ...], rules: str) -> None:
    """What the table had before is gone; nobody else has rules there."""
    subprocess.run([*inside, "iptables-restore"], input=rules, text=True, check=True)
