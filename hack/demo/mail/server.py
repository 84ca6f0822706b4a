"""Mail server that stores every message as a file. STARTTLS is required; nothing is relayed."""

from __future__ import annotations

import os
import signal
import ssl
import time
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

MAILBOX = Path(os.environ.get("MAILBOX", "/var/lib/demo/mail"))
PORT = int(os.environ.get("PORT", "2525"))


UNKNOWN = "nobody@"  # no mailbox has this name, in any domain


class Keeper:
    """Writes each message to its own file."""

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],  # noqa: ARG002
    ) -> str:
        """Aiosmtpd's hook for a recipient."""
        if address.startswith(UNKNOWN):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Aiosmtpd's hook for a received message."""
        content = envelope.content or b""
        data = content.encode() if isinstance(content, str) else content
        name = f"{time.time_ns()}.eml"
        draft = MAILBOX / f".{name}"
        recipients = ", ".join(envelope.rcpt_tos)
        draft.write_bytes(f"X-Envelope-To: {recipients}\r\n".encode() + data)
        draft.rename(MAILBOX / name)
        print(f"kept {name} for {recipients}", flush=True)
        return "250 kept"


def main() -> None:
    """Serve until SIGTERM."""
    MAILBOX.mkdir(parents=True, exist_ok=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain("/etc/demo-tls/tls.crt", "/etc/demo-tls/tls.key")
    controller = Controller(
        Keeper(),
        hostname="0.0.0.0",  # noqa: S104  (a pod's own address)
        port=PORT,
        tls_context=tls,
        require_starttls=True,
    )
    controller.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    controller.stop()


if __name__ == "__main__":
    main()
