"""The report runner: makes one report for one slot, delivers it, and says what happened."""
