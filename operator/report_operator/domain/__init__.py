"""All decisions: pure functions from plain data to plain data, with the clock passed in."""
