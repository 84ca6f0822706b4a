"""Completion by TAB for bash, zsh and fish, and for kubectl, whose plugin protocol it speaks.

kubectl runs `kubectl_complete-reports WORD… PARTIAL` and reads one candidate a line, the
description after a tab, and at last `:4` (no file names), as Cobra's scripts do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

COMMAND = "__complete"
NO_FILES = ":4"
SECONDS = 3.0  # for kubectl, while a person waits
OF_SCHEDULES = ("NAME", "ID|NAME")

_BASH = """\
_report_scheduler() {
    local IFS=$'\\n'
    COMPREPLY=($(report-scheduler __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null \\
        | grep -v '^:' | cut -f1))
}
complete -o default -F _report_scheduler report-scheduler
"""
_ZSH = """\
#compdef report-scheduler
_report_scheduler() {
    local -a found
    local line
    for line in "${(@f)$(report-scheduler __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ $line == :* || -z $line ]] || found+=("${line/$'\\t'/:}")
    done
    _describe 'report-scheduler' found
}
compdef _report_scheduler report-scheduler
"""
_FISH = """\
function __report_scheduler
    set -l words (commandline -opc) (commandline -ct)
    report-scheduler __complete $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c report-scheduler -f -a '(__report_scheduler)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str) -> int:
    print(SCRIPTS[shell], end="")
    return 0


def main() -> int:
    """The program that kubectl calls."""
    from admin_cli.main import main as run

    return run([COMMAND, *sys.argv[1:]])


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """The last of `words` is what stands before the cursor."""
    *before, partial = words or [""]
    for candidate, text in _candidates(parser, before, partial):
        if candidate.startswith(partial):
            print(f"{candidate}\t{text}" if text else candidate)
    print(NO_FILES)
    return 0


def _candidates(
    parser: argparse.ArgumentParser, before: Sequence[str], partial: str
) -> Iterator[tuple[str, str]]:
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    helps = {action.dest: action.help or "" for action in commands._choices_actions}
    current, words, given = parser, list(before), []
    while words:
        word = words.pop(0)
        option = current._option_string_actions.get(word)
        if option is not None and option.nargs != 0:
            if not words:  # its value is asked for
                yield from ((str(choice), "") for choice in option.choices or ())
                return
            words.pop(0)
        elif option is None and current is parser:
            if word not in commands.choices:
                return
            current = commands.choices[word]
        elif option is None and not word.startswith("-"):
            given.append(word)
    if partial.startswith("-"):
        for action in current._actions:
            for flag in action.option_strings:
                yield flag, (action.help or "").replace("%%", "%")
    elif current is parser:
        yield from ((name, helps.get(name, "")) for name in commands.choices)
    else:
        yield from _arguments(current, given)


def _arguments(parser: argparse.ArgumentParser, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    wanted = [action for action in parser._actions if not action.option_strings]
    if len(given) >= len(wanted):
        return
    action = wanted[len(given)]
    if action.choices:
        yield from ((str(choice), "") for choice in action.choices)
    elif action.metavar in OF_SCHEDULES and "ReportBackfill" not in (action.help or ""):
        yield from _schedules()


def _schedules() -> Iterator[tuple[str, str]]:
    """Names, with namespace and health; nothing where kubectl does not answer in time."""
    command = ["kubectl", "get", "reportschedules", "--all-namespaces", "-o", "json"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
        items = json.loads(done.stdout)["items"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return
    for item in items:
        meta, status = item["metadata"], item.get("status") or {}
        yield meta["name"], f"{meta['namespace']}, {status.get('health', 'not seen yet')}"
