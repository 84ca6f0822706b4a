"""Vendors Vega-Lite's JSON schema: `npm pack vega-lite@VERSION`, then this with the package's file.

    python -m hack.vegalite_schema vega-lite-6.4.1.tgz

Only what a check reads is kept (no descriptions), so that it loads in a few milliseconds.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "report_runner" / "render" / "vegalite"
WORDS = ("description", "format", "deprecated", "default")


def stripped(node: Any, names: bool = False) -> Any:
    """A schema without the keywords that check nothing; `names`: its keys are names, not words."""
    if isinstance(node, list):
        return [stripped(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    return {
        key: value
        if key in ("enum", "const", "required") and not names
        else stripped(value, key == "properties" and not names)
        for key, value in node.items()
        if names or key not in WORDS
    }


def main() -> None:
    """Write schema.json.gz and LICENSE."""
    with tarfile.open(sys.argv[1]) as package:

        def read(name: str) -> bytes:
            stream = package.extractfile(f"package/{name}")
            assert stream is not None
            return stream.read()

        version = json.loads(read("package.json"))["version"]
        definitions = stripped(json.loads(read("build/vega-lite-schema.json"))["definitions"], True)
        text = json.dumps({"version": version, "definitions": definitions}, separators=(",", ":"))
        (TARGET / "schema.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        (TARGET / "LICENSE").write_bytes(read("LICENSE"))


if __name__ == "__main__":
    main()
