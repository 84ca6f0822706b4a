"""Templates of authors, rendered as a run renders them."""

from __future__ import annotations

import re

from tests.attacks import jinja
from tests.attacks.batch import MIB, run_batch
from tests.attacks.render_driver import SECONDS
from tests.attacks.vectors import Attacks

DRIVER = "tests.attacks.render_driver"
PEAK = 400 * MIB  # of the process that waits for the template's: a run has 768 MiB
SLACK = 20.0  # seconds beyond the driver's own limit, on a busy machine
SAYS_WHAT_IT_IS = re.compile(
    r"(<|&lt;)(class|function|bound|built-in|module|generator|frame|code|method|Macro|Cycler|"
    r"Joiner|Namespace|Loop)|object at 0x|__\w+__'|report_runner|jinja2\.|root:x:0"
)


def _told(said: dict[str, str] | None) -> str | None:
    if said is None:
        return "it killed the process that waits for it"
    if said.get("reason") == "InternalError":
        return f"no reason that an author understands: {said['message']}"
    return None


def test_no_way_out_of_the_sandbox(attacks: Attacks) -> None:
    """What a template writes shows nothing of Python's inside."""
    environment = {"ATTACK_CANARY": jinja.CANARY}
    vectors = [*jinja.WAYS_OUT, *jinja.OBJECTS]
    texts = [vector.data for vector in vectors]
    done = run_batch(DRIVER, "render_template", texts, **environment)
    subjects = [vector.data for vector in jinja.SUBJECTS]
    done += run_batch(DRIVER, "render_subject", subjects, **environment)
    for vector, found in zip([*vectors, *jinja.SUBJECTS], done, strict=True):
        text = (found.said or {}).get("text", "")
        shown = SAYS_WHAT_IT_IS.search(text)
        got = f"it wrote {text[:100]}" if shown or jinja.CANARY in text else None
        attacks.record(vector, _told(found.said) or got)
    attacks.judge([*vectors, *jinja.SUBJECTS])


def test_bombs_end_as_a_named_failure(attacks: Attacks) -> None:
    """The run's own process stays small, ends in time and can say what happened."""
    done = run_batch(DRIVER, "render_template", [vector.data for vector in jinja.BOMBS], 560)
    for vector, found in zip(jinja.BOMBS, done, strict=True):
        how = _told(found.said)
        if how is None and found.peak > PEAK:
            how = f"the run's process came to {found.peak // MIB} MiB"
        if how is None and found.seconds > SLACK + SECONDS:
            how = f"it took {found.seconds:.0f} s"
        if how is None and found.said.get("size", 0) > 32 * MIB:
            how = f"it wrote {found.said['size'] // MIB} MiB"
        attacks.record(vector, how)
    attacks.judge(jinja.BOMBS)
