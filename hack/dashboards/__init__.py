"""The chart's Grafana dashboards; every query is run by tests against a real Prometheus."""
