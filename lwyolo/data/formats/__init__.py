"""Data set formats: one file each, found by being here."""
