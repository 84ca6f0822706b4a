"""Whom alerts are for: the namespace decides, an author chooses among what it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from report_operator.config import ConfigError, load_config
from report_operator.domain.teams import NamespaceTeams, Teams

OWNER = "reports.adaf.io/owner"
TEAMS = Teams(
    {
        "finance": NamespaceTeams("finance-on-call", frozenset({"treasury", "@risk"})),
        "sales": NamespaceTeams("sales-on-call"),
    }
)


@pytest.mark.parametrize(
    ("namespace", "owner", "team"),
    [
        ("reports", None, "reports"),
        ("reports", "treasury", "reports"),  # it has no entry: nothing may be named
        ("finance", None, "finance-on-call"),
        ("finance", "treasury", "treasury"),
        ("finance", " @risk\n", "@risk"),
        ("finance", "sales-on-call", "finance-on-call"),  # not a neighbour's pager
        ("finance", "Treasury", "finance-on-call"),
        ("finance", "nobody", "finance-on-call"),  # nor away from everybody
        ("finance", "", "finance-on-call"),
        ("sales", "treasury", "sales-on-call"),
    ],
)
def test_team(namespace: str, owner: str | None, team: str) -> None:
    assert TEAMS.of(namespace, {} if owner is None else {OWNER: owner}) == team


def test_there_are_as_many_values_as_the_configuration_has() -> None:
    made_up = {TEAMS.of("finance", {OWNER: f"team-{number}"}) for number in range(1000)}
    assert made_up == {"finance-on-call"}


def config(directory: Path, teams: str) -> Path:
    path = directory / "config.yaml"
    path.write_text(f"runner: {{image: i}}\nwatchNamespaces: [finance]\nteams: {teams}\n")
    return path


def test_of_the_configuration(tmp_path: Path) -> None:
    path = config(tmp_path, "{finance: {team: finance-on-call, owners: [treasury]}}")
    teams = load_config(path).team_names()
    assert teams.of("finance", {OWNER: "treasury"}) == "treasury"
    assert teams.of_namespace("finance") == "finance-on-call"


@pytest.mark.parametrize(
    ("teams", "words"),
    [
        ("{finance: {}}", "teams.finance.team: Field required"),
        ("{finance: {team: 'two words'}}", "teams.finance.team: String should match"),
        ("{finance: {team: a, owners: ['{{ $value }}']}}", "teams.finance.owners.0: String should"),
        ("{finance: {team: a, also: [b]}}", "teams.finance.also: Extra inputs"),
    ],
)
def test_wrong_configuration_is_refused_by_name(tmp_path: Path, teams: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(config(tmp_path, teams))
    assert words in str(caught.value)
