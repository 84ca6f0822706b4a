"""What is rendered: the run, its rows, and what a reader is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from report_runner.contract.definition import Definition
from report_runner.contract.numbers import exact
from report_runner.environment import RunStamps
from report_runner.manifest import Manifest
from report_runner.models import RenderInput
from report_runner.render.documents import builtin_template, render_text
from report_runner.render.template import SUBJECT_FIELD
from report_runner.sources import Fetched


def render_input(
    definition: Definition,
    run: RunStamps,
    fetched: dict[str, Fetched],
    generated_at: datetime,
    warnings: Sequence[str] = (),
) -> RenderInput:
    template = definition.report.template
    return RenderInput(
        title=definition.report.title,
        report_type=definition.report_type,
        namespace=definition.namespace,
        name=definition.name,
        slot=run.slot,
        report_date=run.report_date,
        time_zone=definition.time_zone,
        generated_at=generated_at,
        run_id=run.run_id,
        parameters=exact(definition.report.parameters),
        tables={name: found.table for name, found in fetched.items()},
        charts=tuple(definition.report.charts),
        options=definition.report.format_options,
        warnings=tuple(warnings),
        holidays=definition.holidays,
        template=builtin_template(template.builtin)
        if template.builtin
        else definition.template_text or "",
    )


def email_subject(definition: Definition, data: RenderInput) -> str | None:
    """None without mail. Raises RunError where it cannot be rendered or is no header."""
    email = definition.delivery.email
    if email is None:
        return None
    # Imported only where mail is sent: a fresh pod pays for every import.
    from report_runner.delivery.message import header_value

    return header_value(render_text(email.subject, data), SUBJECT_FIELD)


def about(known: Manifest | RenderInput) -> str:
    return f"{known.namespace}/{known.name} for {known.report_date}"


def warnings_of(known: Manifest) -> list[str]:
    """What a reader is told of the data of these files."""
    return [*([known.not_ready] if known.not_ready else []), *known.warnings]
