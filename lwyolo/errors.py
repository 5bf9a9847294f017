"""The exceptions a user can meet, and the one helper that words them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LwyoloError(Exception):
    """Base of every error that lwyolo raises on purpose; the command line prints it without a traceback."""


class RegistrationError(LwyoloError):
    """A module, hook or format cannot be registered as it stands."""


class UnknownNameError(LwyoloError):
    """A name that was looked up in a registry is not there."""


class PluginError(LwyoloError):
    """A plugin file or package cannot be loaded."""


class GraphError(LwyoloError):
    """A model YAML, or one row of it, cannot be built."""


class UnsupportedUltralyticsError(LwyoloError):
    """The installed Ultralytics has a shape that the seam does not know."""


class CostError(LwyoloError):
    """A model cannot be profiled."""


class DataError(LwyoloError):
    """A dataset, or one file of it, cannot be read."""


class RecordError(LwyoloError):
    """A record cannot be read or written."""


class UsageError(LwyoloError):
    """The command line or a function was called with arguments that do not fit together."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `" Did you mean X?"` for the nearest choice, or an empty string when none is near.

    Example:
        >>> did_you_mean("DyHed", ["Conv", "DyHead"])
        ' Did you mean DyHead?'
        >>> did_you_mean("zzz", ["Conv"])
        ''
    """
    by_lower = {choice.lower(): choice for choice in choices}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]}?" if near else ""
