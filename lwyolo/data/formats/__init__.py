"""Data set formats: one file each, a pure reader into the instance table."""
