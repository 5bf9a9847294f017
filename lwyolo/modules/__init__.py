"""Lightweight modules: one paper family a file. A file that registers a module is found by being here."""
