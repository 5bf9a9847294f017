"""Model YAML to validated rows, and registered rows to explicit channels and arguments."""
