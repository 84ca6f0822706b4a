"""What an author would have the operator or a run do for him that he may not do himself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hack.testbed.namespace import Body, report
from tests.attacks.vectors import Vector, Who

READABLE, PRIVATE = "readable", "private-config"  # ConfigMaps
ALLOWED_SECRET = "report-unreadable"  # by configuration; the author may not get it


@dataclass(frozen=True, slots=True)
class Ask:
    """A spec that is to be refused at apply, or to have no run."""

    spec: Body
    metadata: Mapping[str, Any] = field(default_factory=dict)


def _map(name: str, key: str = "app.conf") -> Body:
    return {"report": report(template={"configMapRef": {"name": name, "key": key}})}


def _database(name: str) -> Body:
    source = {
        "name": "db",
        "postgres": {"connection": {"secretRef": {"name": name}}, "query": "SELECT 1"},
    }
    return {"report": report(sources=[source])}


def _mail(name: str) -> Body:
    smtp = {"secretRef": {"name": name}}
    return {"delivery": {"email": {"to": ["a@example.com"], "attach": ["csv"], "smtp": smtp}}}


_ASKS: Mapping[str, Body] = {
    "configmap-private": _map(PRIVATE),
    "configmap-private-other-key": _map(PRIVATE, "nothing"),
    "configmap-root-ca": _map("kube-root-ca.crt", "ca.crt"),
    "configmap-absent": _map("absent"),
    "configmap-definition": _map("other-0123456789", "definition.json"),
    "secret-unreadable": _database(ALLOWED_SECRET),
    "secret-unreadable-mail": _mail(ALLOWED_SECRET),
    "secret-not-allowed": _database("database-root"),
    "secret-not-allowed-mail": _mail("database-root"),
    "secret-token": _database("default-token-abcde"),
    "secret-helm": _database("sh.helm.release.v1.report-scheduler.v1"),
    "secret-upper-pattern": _database("reports-x"),
    "secret-prefix": _database("xreport-db"),
    "secret-glob": _database("report-*"),
    "secret-query": _database("report-?"),
    "secret-class": _database("[r]eport-db"),
    "secret-path": _database("report-db/../database-root"),
    "secret-newline": _database("report-db\n"),
    "secret-many": {
        "report": report(
            sources=[
                {
                    "name": f"s{n}",
                    "postgres": {
                        "connection": {"secretRef": {"name": f"report-{n}"}},
                        "query": "SELECT 1",
                    },
                }
                for n in range(12)
            ]
        )
    },
    "secret-behind-duplicates": {
        "report": report(
            sources=[
                {
                    "name": f"s{n}",
                    "postgres": {
                        "connection": {"secretRef": {"name": ALLOWED_SECRET}},
                        "query": "SELECT 1",
                    },
                }
                for n in range(12)
            ]
        )
    },
}
DEPUTIES = [Vector("deputy", name, Who.AUTHOR, spec) for name, spec in _ASKS.items()]

# Content of ConfigMaps; a template of each is compiled before a run is made.
LIMIT = 256 * 1024


def _full(text: str, around: str = "%s") -> str:
    return around % (text * ((LIMIT - len(around)) // len(text)))


_BOMBS: Mapping[str, str] = {
    "list": "{{[" + "x," * ((LIMIT - 6) // 2) + "]}}",
    "prints": _full("{{x}}"),
    "adds": "{{ 1" + "+1" * ((LIMIT - 10) // 2) + " }}",
    "filters": "{{ x" + "|e" * 20_000 + " }}",
    "ifs": _full("{%if x%}{%endif%}"),
    "nested-ifs": "{%if x%}" * 12_000 + "{%endif%}" * 12_000,
    "nested-loops": "{%for x in y%}" * 19 + _full("{{x}}")[:200_000] + "{%endfor%}" * 19,
    "brackets": "{{" + "(" * 100_000 + ")" * 100_000 + "}}",
    "macros": "".join(f"{{%macro m{n}()%}}{{%endmacro%}}" for n in range(8_000)),
    "blocks": "".join(f"{{%block b{n}%}}{{%endblock%}}" for n in range(7_000)),
    "sets": "".join(f"{{%set v{n}=1%}}" for n in range(16_000)),
    "text": "x" * (LIMIT + 1),
    "digits": "{{ " + "9" * 200_000 + " }}",
    "unclosed": "{{ '" + "a" * 200_000,
    "comments": _full("{##}"),
    "whitespace": "{% " + " " * 200_000,
}
BOMBS = [Vector("compile-bomb", name, Who.AUTHOR, text) for name, text in _BOMBS.items()]
