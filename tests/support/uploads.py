"""A finished report, and its delivery by upload as a run does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from report_runner.contract.definition import Definition
from report_runner.contract.delivery import UploadDelivery
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.report import Format
from report_runner.contract.result import DeliveryResult
from report_runner.delivery.channel import Attachment, DeliveryContext
from report_runner.delivery.ledger import Ledger, LedgerEntry, deliver_once
from report_runner.delivery.upload.channel import upload_channel
from report_runner.delivery.upload.look import look_over
from report_runner.environment import RunStamps
from report_runner.models import RenderInput
from report_runner.mounted import Secrets

SLOT = datetime(2026, 1, 5, 6, tzinfo=UTC)
RUN = RunStamps(SLOT, date(2026, 1, 5), "positions.20260105T060000Z.1", 1, "")


def definition(upload: dict[str, Any]) -> Definition:
    return Definition.model_validate(
        {
            "namespace": "reports",
            "name": "positions",
            "uid": "u1",
            "reportType": "positions",
            "timeZone": "Etc/UTC",
            "report": {
                "title": "Positions",
                "sources": [{"name": "positions", "inline": {"rows": [{"isin": "A"}]}}],
                "template": {"builtin": "executive_dashboard"},
                "formats": ["pdf", "csv"],
            },
            "delivery": {"upload": upload},
        }
    )


@dataclass
class Uploads:
    """A slot with a PDF and a CSV; what was delivered is remembered, as in its manifest."""

    root: Path
    policy: EgressPolicy = field(
        default_factory=lambda: EgressPolicy.parse(["127.0.0.1/32", "localhost"])
    )
    note: Path | None = None
    entries: dict[str, LedgerEntry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pdf.write_bytes(bytes(range(256)) * 3000)
        self.csv.write_text("isin\r\nA\r\n")

    @property
    def pdf(self) -> Path:
        return self.root / "report.pdf"

    @property
    def csv(self) -> Path:
        return self.root / "report-positions.csv"

    def deliver(self, *places: dict[str, Any]) -> list[DeliveryResult]:
        """Raises RunError as the channel does."""
        upload = {"to": list(places)}
        found: list[DeliveryResult] = []
        context = self.context(upload)
        channel = upload_channel(UploadDelivery.model_validate(upload), context)
        ledger = Ledger("upload", RUN.run_id, self.entries, lambda: None, context.clock)
        deliver_once(channel, ledger, found)
        return found

    def look(self, *places: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """What a later look finds of all that was delivered, by PLACE:PATH."""
        upload = {"to": list(places)}
        look = look_over(UploadDelivery.model_validate(upload), self.context(upload))
        targets = {key.removeprefix("upload:"): entry for key, entry in self.entries.items()}
        found = {name: look.at(name, entry.file) for name, entry in targets.items()}
        return {name: (verdict.value, text) for name, (verdict, text) in found.items()}

    def context(self, upload: dict[str, Any]) -> DeliveryContext:
        data = RenderInput(
            title="Positions",
            report_type="positions",
            namespace="reports",
            name="positions",
            slot=SLOT,
            report_date=RUN.report_date,
            time_zone="Etc/UTC",
            generated_at=SLOT,
            run_id=RUN.run_id,
            parameters={},
            tables={},
        )
        return DeliveryContext(
            definition=definition(upload),
            run=RUN,
            secrets=Secrets(self.root / "secrets"),
            data=data,
            subject="Positions",
            files=[
                Attachment(self.pdf, "positions-2026-01-05.pdf", Format.PDF),
                Attachment(self.csv, "positions-2026-01-05.csv", Format.CSV, "positions"),
            ],
            clock=lambda: datetime.now(UTC),
            note=self.note,
            egress=self.policy,
        )
