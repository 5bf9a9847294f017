"""One runtime a file; see `lwyolo.speed.runtime`."""
