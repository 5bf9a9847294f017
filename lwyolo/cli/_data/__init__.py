"""The commands below `lwyolo data`, one file each, found by being there; a file offers `add_parser(commands)`."""
