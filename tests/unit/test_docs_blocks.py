"""No example of README or docs stands there that nothing executes."""

from __future__ import annotations

import re
from itertools import chain

import pytest
import yaml

from admin_cli import main as admin_cli
from report_runner import cli as report_generator
from tests.runbook.blocks import RUNBOOK, read_blocks
from tests.support.docs import (
    EXECUTED,
    NOT_EXECUTED,
    ROOT,
    Block,
    Command,
    blocks,
    commands,
    commands_of,
    pages,
)
from tests.support.examples import BACKFILL, SCHEDULE, examples

RUN_BY_RUNBOOK = {
    (block.text, block.heading) for block in read_blocks(RUNBOOK)
}  # tests/runbook executes these
INLINE = re.compile(r"`(make|report-generator|report-scheduler) ([a-z-]+)([^`]*)`")
EXIT_UNREACHABLE = 69


def what_executes(block: Block) -> str:
    """The test that executes it; raises AssertionError where there is none."""
    match block.language:
        case "bash":
            assert block.file == "docs/runbook.md", f"{block}: write `console` and `$ `"
            assert block.text.rstrip("\n") in {text for text, _ in RUN_BY_RUNBOOK}
            return "tests/runbook/test_runbook.py"
        case "console":
            found = list(commands_of(block))
            assert found, f"{block}: no line begins with `$ `"
            for command in found:
                assert command.program in EXECUTED or command.on_one_line in NOT_EXECUTED, (
                    f"{block}: nothing executes `{command.text}`; see tests/support/docs.py"
                )
            return "tests/integration/test_doc_commands.py"
        case "yaml":
            bodies = [body for body in yaml.safe_load_all(block.text) if body]
            if not any("kind" in body for body in bodies):
                return "tests/integration/test_doc_commands.py"  # values of the chart
            assert {body["kind"] for body in bodies} <= {SCHEDULE, BACKFILL, "ConfigMap"}
            return "tests/integration/test_doc_examples.py"
        case "sql":
            return "tests/integration/history/test_doc_queries.py"
        case "text":  # a picture, or what a program prints
            assert not re.search(r"^ *\$ ", block.text, re.MULTILINE), f"{block}: write `console`"
            return ""
    raise AssertionError(f"{block}: nothing executes a block of `{block.language}`")


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_something_executes_the_block(block: Block) -> None:
    path = what_executes(block)
    assert not path or (ROOT / path).exists()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("console", "$ terraform apply\n"),
        ("console", "kubectl get pods\n"),
        ("bash", "kubectl get pods\n"),
        ("sh", "true\n"),
        ("", "$ true\n"),
        ("text", "$ true\n"),
        ("yaml", "kind: Deployment\n"),
    ],
)
def test_block_that_nothing_executes_is_found(language: str, text: str) -> None:
    with pytest.raises(AssertionError):
        what_executes(Block("docs/new.md", 1, language, text))


def test_every_exception_is_still_there() -> None:
    assert set(NOT_EXECUTED) <= {command.on_one_line for command in commands()}


def test_every_block_of_the_runbook_is_read() -> None:
    assert len(blocks("bash")) == len(read_blocks()) > 30


def test_manifests_and_commands_are_found() -> None:
    assert len(examples(SCHEDULE, BACKFILL)) > 4
    assert {command.program for command in commands()} >= EXECUTED
    here = next(command for command in commands() if "<<END" in command.text)
    assert here.text.splitlines()[-1] == "END"
    shown = [command for command in commands() if command.output.startswith("NAME")]
    assert len(shown) == 2


def inline() -> list[tuple[str, str, str]]:
    """Program, verb and rest of each command within a sentence."""
    found = chain.from_iterable(INLINE.findall(page.read_text()) for page in pages())
    return sorted(set(found))


@pytest.mark.parametrize(("program", "verb", "rest"), inline())
def test_command_within_a_sentence_is_one(program: str, verb: str, rest: str) -> None:
    if program == "make":
        assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    main = report_generator.main if program == "report-generator" else admin_cli.main
    if rest.strip() and program == "report-scheduler":
        assert main([verb, *rest.split(), "--url", "http://127.0.0.1:1"]) == EXIT_UNREACHABLE
    else:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0


MODULES = re.compile(r"`((?:[\w-]+/)*[\w.-]+\.(?:py|tpl|yaml|mod|j2))`")
ROOMS = re.compile(r"`((?:[\w-]+/)+)`")
FOLDERS = ("charts", "docs", "gitops", "hack", "operator", "report_runner", "tests")
FILES = [path.as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")]


@pytest.mark.parametrize(
    ("page", "name"),
    sorted({(p.name, name) for p in pages() for name in MODULES.findall(p.read_text())}),
)
def test_file_that_is_named_exists(page: str, name: str) -> None:
    assert "NAME" in name or any(file.endswith(f"/{name}") for file in FILES)


def test_folders_of_contributing_exist() -> None:
    named = ROOMS.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_command_is_read_with_its_output() -> None:
    block = Block("x.md", 1, "console", "$ one \\\n  more   # why\nits output\n$ two\n")
    first, second = commands_of(block)
    assert (first.on_one_line, first.output) == ("one more", "its output")
    assert second == Command(block, "two", "")
