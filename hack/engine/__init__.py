"""A Docker engine for tests on a machine without one, and what no registry is there to give."""
