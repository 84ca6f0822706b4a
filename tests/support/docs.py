"""The fenced blocks of README and docs, the commands in them, and what is executed of them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Programs whose commands tests/integration/test_doc_commands.py executes.
EXECUTED = frozenset(
    {"curl", "helm", "kubectl", "make", "report-generator", "report-scheduler", "sudo"}
)
# Commands of documentation that no test executes, and why.
NOT_EXECUTED = {
    'kubectl -n default run knock --restart=Never --rm -i --image="$(kubectl -n report-scheduler '
    "get pod postgres-0 -o jsonpath='{.spec.containers[0].image}')\" -- pg_isready -t 5 -h "
    "postgres.report-scheduler.svc": (
        "the node of `make up` enforces no policies; tests/network/test_policies.py runs it on one "
        "that does"
    ),
    "kubectl krew install --manifest=reports.yaml --archive=kubectl-reports-0.1.0.tar.gz": (
        "Krew is in no package here, and the archive is of a release; tests/unit has its manifest"
    ),
    "docker build -f hack/services/Dockerfile --tag adaf-services:0.1.0 .": (
        "a Docker engine has to be there; `make test-docker` builds the same Dockerfile"
    ),
    "kubectl -n report-scheduler exec -i postgres-0 -- pg_restore -d adaf_prod --clean "
    "--if-exists <history.dump": (
        "it needs the pod of the bundled Postgres and a dump of another major version"
    ),
    "kubectl -n report-scheduler exec postgres-0 -- pg_dump -Fc adaf_prod >history.dump": (
        "tests/integration/lifecycle/test_restore.py restores such a dump"
    ),
    "helm rollback report-scheduler -n report-scheduler": (
        "tests/lifecycle/test_upgrade.py rolls back on a node of its own"
    ),
    "helm uninstall report-scheduler -n report-scheduler": (
        "tests/lifecycle/test_upgrade.py uninstalls on a node of its own"
    ),
    "kubectl -n reports patch reportschedule NAME --type=merge -p "
    '\'{"metadata": {"managedFields": [{}]}}\'': (
        "tests/integration/lifecycle/test_crds.py sends this patch"
    ),
}

_FENCE = re.compile(r"^( *)```(.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is that of its text's first line, from 1."""

    file: str  # relative to the checkout
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a `console` block; `output` is what the block shows below it."""

    block: Block
    text: str
    output: str

    def __str__(self) -> str:
        return f"{self.block.file} {self.text.splitlines()[0]}"

    @property
    def program(self) -> str:
        return self.text.split()[0]

    @property
    def on_one_line(self) -> str:
        """Without its line breaks and comment."""
        joined = re.sub(r"\s*\\\n\s*", " ", self.text)
        return re.sub(r"\s+# .*$", "", joined)


def pages() -> list[Path]:
    """README, CONTRIBUTING and docs."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(*languages: str) -> list[Block]:
    """All fenced blocks, or those of these languages."""
    found = [block for page in pages() for block in _blocks(page)]
    return [block for block in found if not languages or block.language in languages]


def commands() -> list[Command]:
    """All commands of `console` blocks."""
    return [command for block in blocks("console") for command in commands_of(block)]


def commands_of(block: Block) -> Iterator[Command]:
    """A command begins after `$ `, and ends with its last continued line or here-document."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    for part in parts[1:]:
        lines = part.splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        if document := re.search(r"<<'?(\w+)'?$", lines[count - 1]):
            count = lines.index(document[1]) + 1
        yield Command(block, "\n".join(lines[:count]), "\n".join(lines[count:]))


def anchors(markdown: str) -> list[str]:
    """Anchors of headings, as GitHub makes them."""
    prose = re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+?) *$", prose, flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def _blocks(page: Path) -> Iterator[Block]:
    inside: list[str] | None = None
    language, begun = "", 0
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if fence and inside is None:
            inside, language, begun = [], fence[2].strip(), number + 1
        elif fence and inside is not None:
            text = textwrap.dedent("\n".join([*inside, ""]))
            yield Block(str(page.relative_to(ROOT)), begun, language, text)
            inside = None
        elif inside is not None:
            inside.append(line)
