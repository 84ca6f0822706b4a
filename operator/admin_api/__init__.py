"""The admin API on port 3000, for on-call: a process of its own beside the operator."""
