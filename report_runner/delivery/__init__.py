"""Where a finished report goes."""
