"""The API conforms to its OpenAPI document: no 500, no undeclared answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from hack.testbed.admin_api import SCHEDULER, Api, fail_once
from hack.testbed.controlplane import free_port
from hack.testbed.namespace import Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.postgres import postgres_server

EXAMPLES = 50  # of each operation, right ones and wrong ones


@pytest.fixture
def operator(
    make_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> Iterator[OperatorProcess]:
    """An operator with history, which the API reads."""
    with postgres_server() as server:
        secret = server.make_database(tmp_path)
        made = make_operator(
            admission={"maxActive": 1}, metricsPort=free_port(), postgresSecret=str(secret)
        )
        made.start(same_lease=True)
        made.wait_until_leading()
        yield made


def test_answers_conform_to_the_document(namespace: Namespace, api: Api) -> None:
    fail_once(namespace)
    url = f"http://127.0.0.1:{api.port}"
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    # The last one ends the operator: what the others say of it then is 503, as it should.
    operations.sort(key=lambda operation: operation.path.endswith("/shutdown"))
    assert len(operations) > 10
    failures: list[str] = []
    for operation in operations:
        for mode in GenerationMode:
            try:
                _try(operation, mode)
            except Unsatisfiable:
                assert not operation.body  # without parameters nothing can be wrong
            except FailureGroup as error:
                failures += [f"{operation.label}, {mode}: {one}" for one in error.exceptions]
    assert not failures, "\n\n".join(failures)


def _try(operation: Any, mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        # A cursor or a date may be well formed and still mean nothing: 422 then.
        excluded = [positive_data_acceptance]
        if "/health" in operation.path:
            excluded.append(not_a_server_error)  # its 503 is an answer, and declared as one
        case.call_and_validate(excluded_checks=excluded)

    holds()


GENERATE = "/api/admin/reports/generate"
CLEANUP = f"{SCHEDULER}/queue/cleanup"
RETRY = f"{SCHEDULER}/dead-letters/retry"
ODD: list[tuple[str, str, str | None]] = [
    ("POST", GENERATE, '{"type": "\\ud800", "date": "2026-01-05"}'),
    ("POST", GENERATE, '{"\\ud800": 1, "type": "x", "date": "2026-01-05"}'),
    ("POST", GENERATE, '{"type": "\\u0000", "date": "2026-01-05"}'),
    ("POST", GENERATE, '{"type": "x", "date": 20000}'),
    ("POST", GENERATE, '{"type": "x", "date": "9999-12-31"}'),
    ("POST", GENERATE, '{"type": "x", "date": "0001-01-01"}'),
    ("POST", GENERATE, '{"type": "type_daily", "date": "9999-12-31"}'),
    ("POST", GENERATE, '{"type": "type_daily", "date": "1969-12-31"}'),
    ("POST", GENERATE, "null"),
    ("POST", GENERATE, ""),
    ("POST", GENERATE, "[" * 60_000),
    ("POST", CLEANUP, '{"older_than_hours": NaN}'),
    ("POST", CLEANUP, '{"older_than_hours": 1e999}'),
    ("POST", CLEANUP, '{"older_than_hours": -1}'),
    ("POST", CLEANUP, '{"older_than_hours": ' + "9" * 5000 + "}"),
    ("POST", CLEANUP, '{"older_than_hours": "24"}'),
    ("POST", CLEANUP, '{"older_than_hours": true}'),
    ("POST", RETRY, '{"ids": [null]}'),
    ("POST", RETRY, '{"ids": ["\\ud800"]}'),
    ("POST", RETRY, '{"ids": {"all": true}}'),
    ("POST", f"{SCHEDULER}/jobs/%00/retry", None),
    ("POST", f"{SCHEDULER}/jobs/%ff%fe/retry", None),
    ("POST", "/api/admin/backfills/%00/x/cancel", None),
    ("POST", "/api/admin/backfills/reports/a%3FdryRun=All/cancel", "{}"),
    ("POST", CLEANUP, '{"older_than_hours": 0, "ids": []}'),
    ("POST", CLEANUP, '{"older_than_hours": 0, "ids": ["\\ud800"]}'),
    ("POST", GENERATE, '{"type": "type_daily", "date": "2026-01-05", "resend": "some"}'),
    ("POST", GENERATE, '{"type": "type_daily", "date": "2026-01-05", "resend": ["\\ud800"]}'),
    ("GET", f"{SCHEDULER}/jobs/%00", None),
    ("GET", f"{SCHEDULER}/jobs/{'x' * 5000}", None),
    ("GET", f"{SCHEDULER}/jobs?since=1700000000", None),
    ("GET", f"{SCHEDULER}/jobs?since=0001-01-01", None),
    ("GET", f"{SCHEDULER}/jobs?limit=99999999999999999999999", None),
    ("GET", f"{SCHEDULER}/jobs?limit=%00", None),
    ("GET", f"{SCHEDULER}/jobs?cursor=%ff", None),
    ("GET", f"{SCHEDULER}/jobs?cursor=YXxifGM", None),
    ("GET", f"{SCHEDULER}/jobs?%ff=1", None),
    ("GET", f"{SCHEDULER}/dead-letters?cursor=%F0%9F%92%A9", None),
    ("PUT", f"{SCHEDULER}/jobs", None),
]


def test_malformed_requests_get_a_problem_document(namespace: Namespace, api: Api) -> None:
    fail_once(namespace)
    for method, path, body in ODD:
        answer = api.call(method, path, body)
        assert 400 <= answer.status < 500, (method, path, body, answer)
        assert answer.kind == "application/problem+json", (method, path, body, answer)
        assert answer.body["status"] == answer.status
    for edge in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        assert api.get(f"{SCHEDULER}/jobs?since={edge}&until={edge}").status == 200
    assert len(namespace.jobs()) == 1
