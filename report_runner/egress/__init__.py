"""Connections to addresses that authors write: each is judged when it is made.

The judgement is `contract.egress`. What is connected to is the very address that was judged, so a
name that resolves to another address a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

from report_runner.egress.guard import EgressRefusedError, Guard

__all__ = ["EgressRefusedError", "Guard"]
