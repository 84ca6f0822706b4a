"""The admin API on port 3000: what on-call asks and does, a process beside the operator's."""
