"""What a hook is: a class whose public methods are named after Ultralytics events, checked when it is defined.

Ultralytics accepts a callback under any name and never calls a misspelt one; here such a name is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lwyolo.errors import RegistrationError, did_you_mean
from lwyolo.registry import HOOKS

H = TypeVar("H", bound="type[Hook]")
Callbacks = dict[str, list[Callable[[Any], Any]]]


def events() -> list[str]:
    """The events of the installed Ultralytics."""
    from ultralytics.utils.callbacks.base import default_callbacks

    return sorted(default_callbacks)


class Hook:
    """Base of all hooks: public methods are events, each takes the object that fires it (trainer, validator, …).

    A hook holds plain data, so that it pickles to the workers of several GPUs. Events repeat: assign by key.

    Raises:
        RegistrationError: A public method is not named after an event.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = events()
        for name in vars(cls):
            if not name.startswith("_") and name not in known:
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
    HOOKS.add(cls.__name__, cls, replace=previous is not None and previous.__module__ == cls.__module__)
    return cls


def attach(callbacks: Callbacks, hooks: Sequence[Hook]) -> Callbacks:
    """Return the callbacks with those of the hooks in front, so that loggers see what hooks add.

    A hook's methods that are there already are replaced: the workers of several GPUs receive the callbacks of the
    process that started them, and make their own hooks as well.
    """
    kinds = tuple({type(hook) for hook in hooks})
    result = {
        event: [f for f in functions if not isinstance(getattr(f, "__self__", None), kinds)]
        for event, functions in callbacks.items()
    }
    for hook in reversed(hooks):
        for event in (name for name in vars(type(hook)) if not name.startswith("_")):
            result.setdefault(event, []).insert(0, getattr(hook, event))
    return result
