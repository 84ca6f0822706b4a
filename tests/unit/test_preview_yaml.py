"""YAML as kubectl reads it: a table made by kubectl's own code (tests/data/yaml)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from report_runner.models import RunError
from report_runner.preview.documents import read_documents

TABLE = Path(__file__).parents[1] / "data" / "yaml" / "kubectl.json"
CASES: list[tuple[str, list[Any] | None]] = json.loads(TABLE.read_text())
# What kubectl takes with a loss that it does not tell is refused.
REFUSED = {
    "a: 1\na: 2\n": "a.yaml:2:1: the key a occurs twice",
    "x:\n  a: 1\n  a: 2\n": "a.yaml:3:3: the key a occurs twice",
    '1: a\n"1": b\n': "a.yaml:2:1: the key 1 occurs twice",
    "true: a\ny: b\n": "a.yaml:2:1: the key true occurs twice",
    "a: 1\n...\nb: 2\n": "a.yaml:3:1: expected '<document start>'",
    ".inf: a\n": "a.yaml:1:1: .inf is no number of JSON",
}
# Seen in what an API server of this version answers.
STORED = {2**63: 9223372036854776000, 2**64 - 1: 18446744073709552000}
FLOATS = {"99999999999999999999: a\n": [{"100000000000000000000": "a"}]}


def stored(value: Any) -> Any:
    """As the API server gives it back: it makes a float of an integer beyond 64 bits."""
    if isinstance(value, dict):
        return {key: stored(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [stored(inner) for inner in value]
    return STORED.get(value, value) if type(value) is int else value


def read(directory: Path, text: str) -> list[Any] | str:
    """The objects, or what is wrong."""
    file = directory / "a.yaml"
    file.write_bytes(text.encode())
    try:
        return [document.body for document in read_documents(file)]
    except RunError as error:
        return error.message


def test_every_file_is_read_as_kubectl_reads_it(tmp_path: Path) -> None:
    assert len(CASES) > 250
    wrong = []
    for text, objects in CASES:
        found = read(tmp_path, text)
        if text in REFUSED:
            right = isinstance(found, str) and REFUSED[text] in found
        elif objects is None:
            right = isinstance(found, str) and f"{tmp_path}/a.yaml:" in found
        else:
            expected = FLOATS.get(text, [one for one in stored(objects) if one is not None])
            right = json.dumps(found) == json.dumps(expected)  # true is not 1, nor is 1.0
        if not right:
            wrong.append((text, objects, found))
    assert wrong == []


@pytest.mark.parametrize("text", ["a: " + "[" * 20_000, "a: " + "[" * 20_000 + "]" * 20_000])
def test_what_is_nested_too_deeply_is_told(tmp_path: Path, text: str) -> None:
    assert "nested too deeply" in read(tmp_path, text)


def test_a_number_of_any_length_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a: " + "9" * 5000) == [{"a": "9" * 5000}]
    assert read(tmp_path, "a: 0" + "7" * 5000) == [{"a": "0" + "7" * 5000}]
