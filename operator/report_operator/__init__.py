"""The operator: turns each ReportSchedule into a CronJob and keeps watch over its runs."""
