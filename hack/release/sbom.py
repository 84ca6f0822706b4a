"""An image's contents as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from hack.release.inventory import Component

# An SPDX expression, and not a sentence: ids with operators and brackets between them.
_EXPRESSION = re.compile(r"\(*[A-Za-z0-9.+-]+\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*")


def purl(component: Component) -> str:
    """The package URL (https://github.com/package-url/purl-spec)."""
    version = quote(component.version, safe="")
    if component.kind == "deb":
        name = quote(component.name, safe="")
        return f"pkg:deb/debian/{name}@{version}?arch={component.architecture}&distro=bookworm"
    return f"pkg:{component.kind}/{component.name}@{version}"


def make_sbom(
    image: str, digest: str, version: str, timestamp: str, components: Sequence[Component]
) -> dict[str, Any]:
    """`digest` is `sha256:…` of the image's manifest; equal images have equal documents."""
    reference = f"pkg:oci/{image}@{digest.replace(':', '%3A')}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, reference)}",
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "component": {
                "type": "container",
                "bom-ref": reference,
                "name": image,
                "version": version,
                "purl": reference,
                "hashes": [_hash(digest.removeprefix("sha256:"))],
            },
        },
        "components": [_component(one) for one in components],
        "dependencies": [
            {"ref": reference, "dependsOn": sorted(purl(one) for one in components)},
        ],
    }


def _component(one: Component) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl(one),
        "name": one.name,
        "version": one.version,
        "purl": purl(one),
    }
    if one.licences:
        found["licenses"] = _licences(one)
    if one.sha256:
        found["hashes"] = [_hash(one.sha256)]
    if one.bundled:
        found["components"] = [
            {
                "type": "file",
                "bom-ref": f"{purl(one)}#{name}",
                "name": name,
                "hashes": [_hash(digest)],
            }
            for name, digest in one.bundled
        ]
    return found


def _licences(one: Component) -> list[dict[str, Any]]:
    if one.kind != "deb" and len(one.licences) == 1 and _EXPRESSION.fullmatch(one.licences[0]):
        return [{"expression": one.licences[0]}]
    return [{"license": {"name": name}} for name in one.licences]


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}
