"""What a schedule makes and where it goes, as YAML for a person. Secrets are named, never read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

TEXT_LIMIT = 100_000  # characters: a report may have many rows of its own
SHOWN = ("report", "delivery", "output")


class _Dumper(yaml.SafeDumper):
    """Texts of several lines, such as queries, as blocks."""


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def definition_text(spec: Mapping[str, Any]) -> str:
    """Sources, queries, looks and recipients, as the ReportSchedule declares them."""
    shown = {name: spec[name] for name in SHOWN if name in spec}
    text: str = yaml.dump(
        shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=TEXT_LIMIT
    )
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}\n… and {len(text) - TEXT_LIMIT} more characters"
