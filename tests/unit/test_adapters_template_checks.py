"""Templates are compiled in processes that a template may kill, and nobody else waits for that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from report_operator.adapters import template_checks
from report_operator.adapters.template_checks import CheckPendingError, TemplateChecks
from report_runner.contract.templating import NODE_LIMIT, TemplateProblem

PATIENCE = 60.0


@pytest.fixture
async def checks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TemplateChecks]:
    monkeypatch.setattr(template_checks, "PATIENCE_SECONDS", PATIENCE)
    made = TemplateChecks()
    yield made
    await made.close()


async def test_template_that_does_not_compile_is_a_problem(checks: TemplateChecks) -> None:
    assert await checks.problem("a", "<h1>{{ title }}</h1>") is None
    assert await checks.problem("a", "") is None
    found = await checks.problem("a", "\n{{ x | nosuch }}")
    assert found is not None
    assert (found.line, found.too_large) == (2, False)
    assert "nosuch" in found.message


async def test_a_bomb_is_named_and_costs_this_process_nothing(checks: TemplateChecks) -> None:
    before = memory(os.getpid())
    found = await checks.problem("a", "{{[" + "x," * 131_000 + "x]}}")
    assert found is not None
    assert found.too_large
    assert f"more than {NODE_LIMIT}" in found.message
    assert memory(os.getpid()) - before < 64 * 2**20


async def test_one_that_kills_its_process(
    checks: TemplateChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kill(self: template_checks._Compiler, template: str) -> TemplateProblem | None:
        if template == "bomb":
            self.process.kill()
        return await compile_it(self, template)

    compile_it = template_checks._Compiler.compile
    monkeypatch.setattr(template_checks._Compiler, "compile", kill)
    assert await checks.problem("a", "before") is None
    found = await checks.problem("a", "bomb")
    assert found is not None
    assert found.too_large
    assert "MiB" in found.message
    assert await checks.problem("a", "after") is None
    # What is known needs no process.
    monkeypatch.setattr(template_checks._Compiler, "compile", None)
    assert await checks.problem("b", "bomb") == found


async def test_no_process_at_all_is_no_templates_fault(
    checks: TemplateChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_checks.sys, "executable", "/bin/false")
    with pytest.raises(OSError, match="no process that compiles templates starts"):
        await checks.problem("a", "x")


async def test_slow_templates_delay_their_own_namespace_only(
    checks: TemplateChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = asyncio.Event()
    compile_it = TemplateChecks._compile

    async def slow(self: TemplateChecks, template: str) -> TemplateProblem | None:
        if template.startswith("bomb"):
            await free.wait()
        return await compile_it(self, template)

    monkeypatch.setattr(TemplateChecks, "_compile", slow)
    bombs = [asyncio.create_task(checks.problem("a", f"bomb {n}")) for n in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(CheckPendingError):  # not even held in memory
        await checks.problem("a", "bomb 5")
    with pytest.raises(CheckPendingError):  # its own others wait
        await checks.problem("a", "mine")
    assert await checks.problem("b", "theirs") is None
    free.set()
    assert await asyncio.gather(*bombs) == [None] * 4
    assert await checks.problem("a", "mine") is None


def memory(pid: int) -> int:
    """Bytes in use."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
