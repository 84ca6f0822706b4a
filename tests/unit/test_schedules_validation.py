"""What the schema cannot tell: the message names the field and the remedy."""

from typing import Any

import pytest
from factories import SLOT, make_schedule

from report_operator.api.v1alpha1.conditions import ReadyReason
from report_operator.domain.admission.limits import NamespacePolicy
from report_operator.domain.schedules.observation import ReadyProblem
from report_operator.domain.schedules.validation import (
    SpecObservation,
    check_spec,
    check_template,
    template_problem,
)
from report_runner.contract.egress import EgressPolicy
from report_runner.contract.report import ConfigMapKeyReference
from report_runner.contract.sources import SourceSpec
from report_runner.contract.templating import compile_problem


def problem_of(spec, **changes: Any) -> ReadyProblem | None:
    values = {
        "namespace": "finance", "now": SLOT, "secret_allowed": lambda name: True,
        "policy": NamespacePolicy(),
    }  # fmt: skip
    return check_spec(SpecObservation(spec=spec, **{**values, **changes}))


REFERENCE = ConfigMapKeyReference(name="pages", key="daily.j2")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        (
            {"schedule": "61 6 * * *"},
            ReadyReason.INVALID_SCHEDULE,
            ("spec.schedule: minute field", "61"),
        ),
        ({"schedule": "0 6 * *"}, ReadyReason.INVALID_SCHEDULE, ("spec.schedule: ", "five fields")),
        ({"schedule": "CRON_TZ=UTC 0 6 * * *"}, ReadyReason.INVALID_SCHEDULE, ("timeZone",)),
        (
            {"timeZone": "Europe/Madird"},
            ReadyReason.INVALID_TIME_ZONE,
            ("spec.timeZone: ", "did you mean Europe/Madrid?"),
        ),
        ({"timeZone": "europe/madrid"}, ReadyReason.INVALID_TIME_ZONE, ("is Europe/Madrid",)),
        ({"timeZone": "Local"}, ReadyReason.INVALID_TIME_ZONE, ("spec.timeZone: ",)),
    ],
)
def test_invalid_schedule_or_zone_is_a_problem(spec, reason, words) -> None:
    problem = problem_of(make_schedule(spec).spec)
    assert problem is not None
    assert problem.reason is reason
    for word in words:
        assert word in problem.message


@pytest.mark.parametrize("expression", ["0 6 * * 1-5", "@every 90s", "@daily"])
def test_valid_schedule_is_no_problem(expression: str) -> None:
    assert problem_of(make_schedule({"schedule": expression}).spec) is None


def test_schedule_that_never_fires() -> None:
    problem = problem_of(make_schedule({"schedule": "0 0 31 2 *"}).spec)
    assert problem is not None
    assert problem.reason is ReadyReason.INVALID_SCHEDULE
    assert "spec.schedule: 0 0 31 2 *" in problem.message


@pytest.mark.parametrize("expression", ["0 0 29 2 *", "@every 90s", "@yearly"])
def test_schedule_that_fires_one_day(expression: str) -> None:
    assert problem_of(make_schedule({"schedule": expression}).spec) is None


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        ("report-db", "spec.report.sources[revenue].postgres.connection.secretRef.name: "),
        ("report-mail", "spec.delivery.email.smtp.secretRef.name: "),
    ],
)
def test_secret_that_is_not_allowed(refused: str, field: str) -> None:
    spec = make_schedule().spec
    problem = problem_of(spec, secret_allowed=lambda name: name != refused)
    assert problem is not None
    assert problem.reason is ReadyReason.SECRET_NOT_ALLOWED
    assert problem.message.startswith(field)
    assert refused in problem.message
    assert "allowedSecrets" in problem.message
    assert problem_of(spec) is None


@pytest.mark.parametrize(
    ("config_map", "reason", "words"),
    [
        (None, ReadyReason.TEMPLATE_NOT_FOUND, ("configMapRef.name", "pages does not exist")),
        ({}, ReadyReason.TEMPLATE_NOT_FOUND, ("configMapRef.key", "no key daily.j2")),
        (
            {"data": {"b": "", "a": ""}, "binaryData": {"daily.j2": "AA=="}},
            ReadyReason.TEMPLATE_NOT_FOUND,
            ("no key daily.j2", "correct the key"),
        ),
        (
            {"data": {"daily.j2": "x" * 300_000}},
            ReadyReason.TEMPLATE_TOO_LARGE,
            ("300000 bytes", "262144"),
        ),
        (  # bytes, not characters
            {"data": {"daily.j2": "é" * 140_000}},
            ReadyReason.TEMPLATE_TOO_LARGE,
            ("280000 bytes",),
        ),
    ],
)
def test_wrong_template(config_map, reason, words) -> None:
    text, problem = check_template(REFERENCE, config_map)
    assert text == ""
    assert problem is not None
    assert problem.reason is reason
    assert problem.message.startswith("spec.report.template.configMapRef")
    for word in words:
        assert word in problem.message


def test_what_else_a_config_map_holds_is_not_told() -> None:
    """Its keys may be names of accounts: the status is for more readers than the ConfigMap is."""
    _, problem = check_template(REFERENCE, {"data": {"canary-key": "canary-value"}})
    assert problem is not None
    assert "canary" not in problem.message


@pytest.mark.parametrize("text", ["", "<h1>{{ title }}</h1>\n", "x" * 262_144])
def test_right_template(text: str) -> None:
    assert check_template(REFERENCE, {"data": {"daily.j2": text}}) == (text, None)


@pytest.mark.parametrize(
    ("policy", "reason", "words"),
    [
        (NamespacePolicy(), None, ()),
        (
            NamespacePolicy(highest_tier="standard"),
            ReadyReason.TIER_NOT_ALLOWED,
            ("spec.tier: ", "standard at most, not critical", "namespaces.finance.highestTier"),
        ),
        (
            NamespacePolicy(highest_priority="low"),
            ReadyReason.PRIORITY_NOT_ALLOWED,
            ("spec.priority: ", "low at most, not high", "namespaces.finance.highestPriority"),
        ),
    ],
)
def test_tier_and_priority_have_to_be_allowed_in_the_namespace(policy, reason, words) -> None:
    problem = problem_of(make_schedule().spec, policy=policy)
    assert (problem.reason if problem else None) == reason
    assert all(word in (problem.message if problem else "") for word in words)


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("<p>\n{% if x %}\n{{ y }\n{% endif %}", ReadyReason.TEMPLATE_INVALID, "line 3: "),
        ("{% include 'other' %}", ReadyReason.TEMPLATE_INVALID, "line 1: include"),
        ("\n{{ x | nosuch }}", ReadyReason.TEMPLATE_INVALID, "nosuch"),
        ("\n{{ [" + "x," * 60_000 + "] }}", ReadyReason.TEMPLATE_TOO_LARGE, "line 2: more than"),
    ],
)
def test_template_that_does_not_compile(text: str, reason: ReadyReason, words: str) -> None:
    found = compile_problem(text)
    assert found is not None
    problem = template_problem(REFERENCE, found)
    assert problem.reason is reason
    assert problem.message.startswith("spec.report.template.configMapRef: pages/daily.j2 line ")
    assert words in problem.message


def test_placeholder_inside_quotes() -> None:
    spec = make_schedule().spec
    assert problem_of(spec) is None
    source = spec.report.sources[0]
    assert source.postgres is not None
    query = "SELECT 1\nWHERE now() > date '%(report_date)s'"
    wrong = source.model_copy(
        update={"postgres": source.postgres.model_copy(update={"query": query})}
    )
    report = spec.report.model_copy(update={"sources": [wrong]})
    problem = problem_of(spec.model_copy(update={"report": report}))
    assert problem is not None
    assert problem.reason is ReadyReason.INVALID_SPEC
    assert (
        "spec.report.sources[revenue].postgres.query: line 2, column 21: %(report_date)s stands"
        in (problem.message)
    )


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"http": {"url": "http://warehouse.data.svc:8080/rows"}}, "http.url"),
        ({"http": {"url": "http://10.0.0.7/{{ report_date }}"}}, "http.url"),
        (
            {
                "http": {
                    "url": "https://api.example.com/rows",
                    "auth": {
                        "oauth2": {
                            "secretRef": {"name": "a"}, "tokenUrl": "http://169.254.169.254/"
                        }
                    },
                }
            },
            "http.auth.oauth2.tokenUrl",
        ),
        (
            {
                "object": {
                    "endpoint": "http://minio.data.svc:9000", "bucket": "a", "key": "a.csv",
                    "format": "csv", "secretRef": {"name": "a"},
                }
            },
            "object.endpoint",
        ),
    ],
)  # fmt: skip
def test_an_address_inside_is_a_problem_unless_it_is_allowed(source, field) -> None:
    report = {
        "title": "Rows", "sources": [{"name": "rows", **source}],
        "template": {"builtin": "executive_dashboard"},
    }  # fmt: skip
    spec = make_schedule({"report": report}).spec
    problem = problem_of(spec)
    assert problem is not None
    assert problem.reason is ReadyReason.INVALID_SPEC
    assert problem.message.startswith(f"spec.report.sources[rows].{field}: runs may not connect")
    assert "config.runner.egress.allow" in problem.message
    allow = ["10.0.0.0/8", "169.254.169.254"]
    assert problem_of(spec, egress=EgressPolicy.parse(allow)) is None


def test_an_upload_inside_is_a_problem_unless_it_is_allowed() -> None:
    place = {"name": "portal", "webdav": {"url": "http://files.data.svc/in"}}
    spec = make_schedule({"delivery": {"upload": {"to": [place]}}}).spec
    problem = problem_of(spec)
    assert problem is not None
    assert problem.message.startswith(
        "spec.delivery.upload.to[portal].webdav.url: runs may not connect to files.data.svc"
    )
    assert problem_of(spec, egress=EgressPolicy.parse(["files.data.svc"])) is None


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (
            {"name": "q", "query": {"sql": "SELECT\n '%(slot)s'"}},
            "spec.report.sources[q].query.sql: line 2, column 3: %(slot)s stands inside quotes",
        ),
        (
            {
                "name": "s",
                "sql": {
                    "connection": {"secretRef": {"name": "x"}},
                    "query": "SELECT %(reprt_date)s",
                },
            },
            "spec.report.sources[s].sql.query: line 1, column 8: there is no parameter reprt_date "
            "(did you mean %(report_date)s?)",
        ),
    ],
)  # fmt: skip
def test_placeholders_of_other_sources(source: dict[str, Any], part: str) -> None:
    spec = make_schedule().spec
    sources = [SourceSpec.model_validate(source)]
    report = spec.report.model_copy(update={"sources": sources})
    problem = problem_of(spec.model_copy(update={"report": report}))
    assert problem is not None
    assert part in problem.message


def test_quotes_of_mysql_are_judged_by_the_run() -> None:
    spec = make_schedule().spec
    text = r"SELECT 'it\'s', %(slot)s"
    sql = {"connection": {"secretRef": {"name": "x"}}, "query": text}
    sources = [SourceSpec.model_validate({"name": "s", "sql": sql})]
    report = spec.report.model_copy(update={"sources": sources})
    assert problem_of(spec.model_copy(update={"report": report})) is None


def test_filters_for_business_days_and_a_calendar_go_together() -> None:
    report = {
        "title": "Rows",
        "sources": [{"name": "rows", "inline": {"rows": [{"a": 1}]}}],
        "template": {"builtin": "executive_dashboard"},
        "parameters": {"day": "{{ report_date | previous_business_day }}"},
    }
    assert problem_of(make_schedule({"report": report}).spec) is None
    with_calendar = make_schedule({"report": report, "calendar": {"country": "ES"}})
    assert problem_of(with_calendar.spec) is None
