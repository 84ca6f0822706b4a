"""Versions of the schema `report_scheduler`. Each only adds: the version before reads on."""
