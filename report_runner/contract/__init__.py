"""What operator and runner agree on: a report's definition, the pod's environment, the result.

The operator may import this package and nothing else of the runner.
"""
