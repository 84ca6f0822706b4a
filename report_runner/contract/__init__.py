"""What operator and runner agree on: the definition of a report, the pod's surroundings, the result.

The operator may import this package and nothing else of the runner.
"""
