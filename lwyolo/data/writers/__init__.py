"""Data set formats that are written: one file each, from the instance table into a new folder."""
