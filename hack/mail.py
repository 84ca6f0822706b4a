"""`make mail`: the mails that the demo has sent, the newest one whole.

The newest one and its attachments are written to out/mail/ as well.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import re
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

from hack.steps import ROOT, use_cluster

MAILBOX = "/var/lib/demo/mail"
_LISTED = 20
_HEADERS = ("Date", "From", "To", "Cc", "Subject")


def _on_server(*command: str) -> bytes:
    """Output of a command in the mail server's container; exits where there is none."""
    line = ["kubectl", "-n", "demo", "exec", "deploy/mail", "--", *command]
    done = subprocess.run(line, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"the demo's mail server does not answer (make up): {done.stderr.decode()}")
    return done.stdout


def names() -> list[str]:
    """Files of the mailbox, the newest first."""
    listed = _on_server("ls", "-t", MAILBOX).decode().split()
    return [name for name in listed if re.fullmatch(r"\d+\.eml", name)]


def fetch(name: str) -> tuple[bytes, EmailMessage]:
    content = _on_server("cat", f"{MAILBOX}/{name}")
    return content, email.message_from_bytes(content, policy=email.policy.default)


def headers(message: EmailMessage) -> str:
    return "\n".join(f"{name}: {message[name]}" for name in _HEADERS if message[name])


def attachments(message: EmailMessage) -> list[tuple[str, bytes]]:
    """Name and content, under names that stay in a directory."""
    return [
        (Path(part.get_filename() or "unnamed").name, part.get_payload(decode=True) or b"")
        for part in message.iter_attachments()
    ]


def text(message: EmailMessage) -> str:
    body = message.get_body(preferencelist=("plain", "html"))
    return str(body.get_content()).strip() if body else ""


def save(content: bytes, message: EmailMessage) -> list[Path]:
    """Write the mail and its attachments to out/mail/."""
    place = ROOT / "out" / "mail"
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for name, part in (("newest.eml", content), *attachments(message)):
        written.append(place / name)
        written[-1].write_bytes(part)
    return written


def main() -> int:
    """Exit code 1 where no mail has come."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    use_cluster()
    found = names()
    if not found:
        print("no mail has come yet; the mailbox is empty anew with each pod of deploy/mail")
        return 1
    print(f"{len(found)} mails, the newest first:")
    for name in found[:_LISTED]:
        _, message = fetch(name)
        print(f"  {message['Date']}  {message['To']}  {message['Subject']}")
    content, message = fetch(found[0])
    print(f"\n{headers(message)}\n\n{text(message)}\n")
    for path in save(content, message):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
