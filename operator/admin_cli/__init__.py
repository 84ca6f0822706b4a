"""On-call's verbs of the command `report-scheduler`: tables of what the admin API says."""
