"""What a hook is: a class whose public methods are named after Ultralytics events, checked when it is defined.

Ultralytics accepts a callback under any name and never calls a misspelt one; here such a name is an error.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from inspect import isfunction
from typing import Any, TypeVar

from lwyolo.errors import RegistrationError, did_you_mean
from lwyolo.registry import HOOKS, same_source

H = TypeVar("H", bound="type[Hook]")
Callbacks = Mapping[str, Sequence[Callable[[Any], Any]]]

RESERVED = {"optimizer_step", "on_before_zero_grad", "on_params_update"}
"""Events that Ultralytics lists and, from 8.3.100 to 8.4.190, never fires."""


def events() -> list[str]:
    """The events that the installed Ultralytics fires."""
    from ultralytics.utils.callbacks.base import default_callbacks

    return sorted(set(default_callbacks) - RESERVED)


class Hook:
    """Base of all hooks: public methods are events, each takes the object that fires it (trainer, validator, …).

    A hook holds plain data, so that it pickles to the workers of several GPUs, of which only the first runs it. Events
    repeat: assign by key.

    Raises:
        RegistrationError: A public method is not named after an event that is fired.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = events()
        for name, value in vars(cls).items():
            if not isfunction(value) or name.startswith("_") or name in known:
                continue
            if name in RESERVED:
                raise RegistrationError(f"hook {cls.__name__}: Ultralytics reserves {name!r} and never calls it.")
            raise RegistrationError(
                f"hook {cls.__name__}: {name!r} is not an Ultralytics event.{did_you_mean(name, known)} "
                "Helpers of a hook start with an underscore."
            )


def register_hook(cls: H) -> H:
    """Have every trainer use this hook.

    Raises:
        RegistrationError: Another hook has this name.
    """
    previous = HOOKS.get(cls.__name__)
    HOOKS.add(cls.__name__, cls, replace=previous is not None and same_source(previous, cls))
    return cls


def attach(callbacks: Callbacks, hooks: Sequence[Hook]) -> defaultdict[str, list[Callable[[Any], Any]]]:
    """Return new callbacks with those of the hooks in front, so that loggers see what hooks add.

    A hook's methods that are there already are replaced: the workers of several GPUs receive the callbacks of the
    process that started them, and make their own hooks as well. All but the first worker get none: only one may write.
    """
    kinds = {type(hook) for hook in hooks}
    active = hooks if int(os.environ.get("RANK", -1)) in {-1, 0} else ()
    ours = {event: [getattr(hook, event) for hook in active if hasattr(hook, event)] for event in events()}
    result = defaultdict(list, {event: functions for event, functions in ours.items() if functions})
    for event, functions in callbacks.items():
        result[event] += [function for function in functions if type(getattr(function, "__self__", None)) not in kinds]
    return result
