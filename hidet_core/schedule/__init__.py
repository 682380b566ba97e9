"""Schedules: templates written with task mappings, their spaces, and the choice of a config."""
