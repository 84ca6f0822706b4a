"""On-call's commands of `report-scheduler`: calls of the admin API, answers as tables."""
