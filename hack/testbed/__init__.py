"""Real servers on loopback for tests and benchmarks: control plane, operator, admin API, stores."""
