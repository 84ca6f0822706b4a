"""The report runner: makes the report of one slot, delivers it, and writes a result."""
