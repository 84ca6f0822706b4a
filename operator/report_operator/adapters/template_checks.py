"""Whether templates of authors compile, tried in processes that they may crash.

There are two processes, and one namespace uses at most one of them: templates that take all of
their time delay nobody else. Results are cached by the content of the template.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import sys
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from report_runner.contract.template_worker import (
    ANSWER_LIMIT,
    CPU_SECONDS,
    LENGTH,
    MEMORY_BYTES,
)
from report_runner.contract.templating import TemplateProblem

logger = logging.getLogger(__name__)

PROCESSES = 2
WALL_SECONDS = 30.0  # for one template, on a node that has other work
PATIENCE_SECONDS = 0.5  # that one caller waits; it asks again later
PENDING_OF_NAMESPACE = 4  # templates that are held in memory until their turn
KNOWN_LIMIT = 4096  # results
END_SECONDS = 5.0
TEMPLATES_OF_PROCESS = 500  # then a new one takes over

_ENVIRONMENT = ("PATH", "PYTHONPATH", "LANG", "LC_ALL")


class CheckPendingError(Exception):
    """It is not known yet: try again later."""


@dataclass(slots=True)
class TemplateChecks:
    processes: int = PROCESSES
    _known: OrderedDict[bytes, TemplateProblem | None] = field(default_factory=OrderedDict)
    _pending: dict[bytes, asyncio.Task[TemplateProblem | None]] = field(default_factory=dict)
    _of_namespace: Counter[str] = field(default_factory=Counter)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(init=False)
    _idle: list[_Compiler] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.processes)

    async def problem(self, namespace: str, template: str) -> TemplateProblem | None:
        """None where it compiles.

        Raises CheckPendingError while it is not known, OSError where no process can be started.
        """
        digest = hashlib.sha256(template.encode()).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
            return self._known[digest]
        task = self._pending.get(digest)
        if task is None:
            if self._of_namespace[namespace] >= PENDING_OF_NAMESPACE:
                raise CheckPendingError
            task = asyncio.create_task(self._check(namespace, digest, template))
            self._pending[digest] = task
            self._of_namespace[namespace] += 1
            task.add_done_callback(lambda _: self._ended(namespace, digest))
        elif self._of_namespace[namespace] > 1:
            raise CheckPendingError
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not done:
            raise CheckPendingError
        return task.result()

    async def close(self) -> None:
        for task in list(self._pending.values()):
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)
        while self._idle:
            await self._idle.pop().end()

    def _ended(self, namespace: str, digest: bytes) -> None:
        self._pending.pop(digest, None)
        self._of_namespace[namespace] -= 1
        if not self._of_namespace[namespace]:
            del self._of_namespace[namespace]
            self._turns.pop(namespace, None)

    async def _check(self, namespace: str, digest: bytes, template: str) -> TemplateProblem | None:
        async with self._turns.setdefault(namespace, asyncio.Lock()), self._places:
            found = await self._compile(template)
        self._known[digest] = found
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)
        return found

    async def _compile(self, template: str) -> TemplateProblem | None:
        compiler = self._idle.pop() if self._idle else await _Compiler.start()
        try:
            async with asyncio.timeout(WALL_SECONDS):
                found = await compiler.compile(template)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError):
            await compiler.end()
            logger.warning("a process that compiled a template was ended")
            return TemplateProblem(
                1,
                f"takes more than {CPU_SECONDS} s or {MEMORY_BYTES // 2**20} MiB to be compiled: "
                "make it shorter, and repeat with a loop",
                too_large=True,
            )
        except BaseException:
            await compiler.end()
            raise
        if compiler.compiled < TEMPLATES_OF_PROCESS:
            self._idle.append(compiler)
        else:
            await compiler.end()
        return found


@dataclass(slots=True)
class _Compiler:
    """A process of report_runner.contract.template_worker."""

    process: asyncio.subprocess.Process
    compiled: int = 0

    @classmethod
    async def start(cls) -> _Compiler:
        """Raises OSError where no process works at all, which is not the template's fault."""
        made = cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "report_runner.contract.template_worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
        )
        try:
            async with asyncio.timeout(WALL_SECONDS):
                await made.compile("")
        except (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError) as error:
            await made.end()
            raise OSError(f"no process that compiles templates starts: {error!r}") from error
        except BaseException:
            await made.end()
            raise
        return made

    async def compile(self, template: str) -> TemplateProblem | None:
        """Raises OSError, IncompleteReadError or ValueError where the process dies."""
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise ValueError("no pipes")
        raw = template.encode()
        stdin.write(LENGTH.pack(len(raw)) + raw)
        await stdin.drain()
        (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
        if length > ANSWER_LIMIT:
            raise ValueError("too long an answer")
        answer = json.loads(await stdout.readexactly(length))
        self.compiled += 1
        return TemplateProblem(**answer) if answer else None

    async def end(self) -> None:
        """Kill it and wait for that, but not indefinitely: a stop may wait for this."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self.process.wait()
