"""How a source reaches its database, and what both ways of reading it share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine.url import URL

from report_runner.contract.reasons import Reason
from report_runner.models import RunError
from report_runner.redaction import Redactor

CONNECT_SECONDS = 15
MESSAGE_LIMIT = 600


@dataclass(frozen=True, slots=True)
class SqlAccess:
    """A checked URL, and how this source is called in messages."""

    field: str
    secret: str
    url: URL
    ca: Path | None

    def server(self, redact: Redactor) -> str:
        """Host and port, for a message."""
        port = f":{self.url.port}" if self.url.port else ""
        return redact(f"{self.url.host}{port}")

    def unavailable(self, text: str, redact: Redactor) -> RunError:
        return RunError(
            Reason.DATABASE_UNAVAILABLE,
            f"{self.field}: no connection to {self.server(redact)} with Secret {self.secret}: "
            f"{one_line(redact(text))}",
        )

    def no_login(self, text: str, redact: Redactor) -> RunError:
        return RunError(
            Reason.CONFIGURATION_ERROR,
            f"{self.field}: login at {self.server(redact)} with Secret {self.secret} failed: "
            f"{one_line(redact(text))}",
        )

    def refused(self, text: str) -> RunError:
        """The query is to blame."""
        return RunError(Reason.CONFIGURATION_ERROR, f"{self.field}.query: {text}")

    def timed_out(self, timeout: str) -> RunError:
        return RunError(
            Reason.TIMEOUT,
            f"{self.field}.query was stopped after {self.field}.timeout ({timeout}): make it "
            "faster, or raise that",
        )

    def too_many(self, limit: int) -> RunError:
        return RunError(
            Reason.CONFIGURATION_ERROR,
            f"{self.field}: the result has more than maxRows ({limit}) rows; narrow the query or "
            "raise maxRows",
        )

    def check_columns(self, columns: Sequence[str]) -> None:
        """Raises RunError where two columns have one name."""
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise self.refused(
                f"the result has several columns {', '.join(twice)}; give each a name of its own "
                "with AS"
            )


def one_line(text: str) -> str:
    return " ".join(text.split())[:MESSAGE_LIMIT]
