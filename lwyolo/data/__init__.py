"""Data sets as one table of instances: readers, fingerprint, demo set. Never imports torch."""
