"""URL prefixes of the endpoints."""

SCHEDULER = "/api/admin/scheduler"
DEPLOYMENTS = "/api/admin/deployments"
REPORTS = "/api/admin/reports"
SCHEDULES = "/api/admin/schedules"
DELIVERIES = "/api/admin/deliveries"
BACKFILLS = "/api/admin/backfills"
