"""Plugins (stub until its author lands it)."""


def load_from_environment() -> None:
    """Load nothing yet."""


def sources() -> dict:
    return {}
