"""Ultralytics events to the record: one hook a file, found by being here."""
