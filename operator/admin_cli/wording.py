"""The API's messages in the words of the command line: its options, not fields and paths."""

from __future__ import annotations

import re

OPTIONS = {
    "date": "--date",
    "priority": "--priority",
    "older_than_hours": "--older-than-hours",
    "start_date": "FROM",
    "end_date": "TO",
    "report_types": "TYPE",
    "report_type": "--type",
    "type": "TYPE",
    "tier": "--tier",
    "health": "--health",
    "sort": "--sort",
    "max_concurrent": "--max-concurrent",
    "reprocess": "--reprocess",
    "cursor": "--cursor",
    "limit": "--limit",
    "since": "--since",
    "until": "--until",
    "ids": "ID",
    "Idempotency-Key": "--key",
    "through": "--through",
    "resend": "--resend",
    "instead_of_slot": "--instead-of-slot",
}
COMMANDS = {
    "GET /api/admin/scheduler/jobs": "`report-scheduler jobs`",
    "POST /api/admin/deliveries/verify": "`report-scheduler deliveries verify ID`",
    "POST /api/admin/reports/generate": "`report-scheduler generate TYPE --date DATE`",
}
PHRASES = {
    "take it from `next` of the page before": "take it from the line `more:` of the page before",
    "name the namespace and the schedule as well": "add --of-namespace and --of-schedule",
    "send a new key with each new request": "use another --key for another request",
    "send it again, same key": "run the command again with the same --key",
    "send the request again": "run the command again",
    "ask with `instead_of_slot`": "ask with --instead-of-slot",
    "`resend` makes it anew": "--resend makes it anew",
    "; exchange the two": "; exchange FROM and TO",
}
_FIELD = re.compile(r"(?:^|(?<=; ))(" + "|".join(map(re.escape, OPTIONS)) + r")(?:\.\d+)?(?=: )")


def in_words_of_commands(message: str) -> str:
    """`date: …` → `--date: …`; a call of the API → the command that makes it."""
    told = _FIELD.sub(lambda found: OPTIONS[found[1]], message)
    for call, command in {**COMMANDS, **PHRASES}.items():
        told = told.replace(call, command)
    return told
