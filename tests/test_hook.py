from __future__ import annotations

import pickle
import subprocess
import sys
import types
from collections import defaultdict
from pathlib import Path

import cloudpickle
import pytest
import ultralytics
from ultralytics.utils.callbacks.base import default_callbacks, get_default_callbacks

from lwyolo.errors import RegistrationError
from lwyolo.hook import RESERVED, Hook, attach, events, register_hook
from lwyolo.registry import HOOKS


class First(Hook):
    """Two events and a helper."""

    patience = 3

    def __init__(self, seen: tuple[int, ...] = ()) -> None:
        self.seen = seen

    def on_train_end(self, trainer) -> None:
        self._note(1)

    def on_val_end(self, validator) -> None:
        self._note(2)

    def _note(self, number: int) -> None:
        self.seen += (number,)


class Second(Hook):
    def on_train_end(self, trainer) -> None: ...


class FirstAgain(First):
    """Inherits both events."""

    def on_train_end(self, trainer) -> None: ...


def logger(trainer) -> None: ...


def names(functions) -> list[str]:
    return [getattr(function, "__qualname__", str(function)) for function in functions]


def test_a_misspelt_event_is_refused():
    with pytest.raises(RegistrationError) as error:

        class CostHook(Hook):
            def on_train_epoch_finished(self, trainer) -> None: ...

    assert (
        "hook CostHook: 'on_train_epoch_finished' is not an Ultralytics event. Did you mean on_train_epoch_end? "
        "Helpers of a hook start with an underscore." == str(error.value)
    )


@pytest.mark.parametrize("event", sorted(RESERVED))
def test_an_event_that_never_fires_is_refused(event):
    with pytest.raises(RegistrationError) as error:
        type("Late", (Hook,), {event: lambda self, trainer: None})

    assert f"hook Late: Ultralytics reserves {event!r} and never calls it." == str(error.value)


def test_reserved_events_are_not_fired_by_the_installed_ultralytics():
    engine = Path(ultralytics.__file__).parent / "engine"
    sources = "".join(file.read_text("utf-8") for file in engine.glob("*.py"))
    fired = {event for event in default_callbacks if f'run_callbacks("{event}")' in sources}

    assert fired == set(events())


def test_hooks_come_before_what_is_there_in_their_order():
    callbacks = get_default_callbacks()
    callbacks["on_train_end"].append(logger)
    before = {event: list(functions) for event, functions in callbacks.items()}
    result = attach(callbacks, [First(), Second()])

    assert ["First.on_train_end", "Second.on_train_end", "on_train_end", "logger"] == names(result["on_train_end"])
    assert ["First.on_val_end", "on_val_end"] == names(result["on_val_end"])
    assert before == callbacks
    assert set(before) == set(result)


def test_a_logger_may_add_an_event_of_its_own():
    result = attach({}, [Second()])
    result["on_batch_end"].append(logger)

    assert ["logger"] == names(result["on_batch_end"])


def test_inherited_events_are_attached_once():
    result = attach(get_default_callbacks(), [FirstAgain()])

    assert ["FirstAgain.on_train_end", "on_train_end"] == names(result["on_train_end"])
    assert ["First.on_val_end", "on_val_end"] == names(result["on_val_end"])


def test_attaching_twice_replaces():
    once = attach(get_default_callbacks(), [First((7,)), Second()])
    twice = attach(once, [First(), Second()])

    assert names(once["on_train_end"]) == names(twice["on_train_end"])
    assert () == twice["on_train_end"][0].__self__.seen


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_hooks_that_came_pickled_from_the_parent_are_replaced(module):
    parent = attach(get_default_callbacks(), [First((7,)), Second()])
    parent["on_train_end"].append(logger)
    worker = attach(module.loads(module.dumps(parent)), [First(), Second()])

    assert ["First.on_train_end", "Second.on_train_end", "on_train_end", "logger"] == names(worker["on_train_end"])
    assert () == worker["on_train_end"][0].__self__.seen


def test_a_pickled_hook_that_the_worker_does_not_know_is_kept():
    parent = attach(defaultdict(list), [First((7,)), FirstAgain((8,))])
    worker = attach(pickle.loads(pickle.dumps(parent)), [First()])

    assert [(), (8,)] == [function.__self__.seen for function in worker["on_train_end"]]


@pytest.fixture
def registered():
    before = {name: HOOKS[name] for name in HOOKS}
    yield
    for name in list(HOOKS):
        HOOKS.remove(name)
    for name, cls in before.items():
        HOOKS.add(name, cls)


def hook_class(name: str, module: str) -> type:
    return types.new_class(name, (Hook,), {}, lambda body: body.update(__module__=module))


def test_a_registered_hook_is_found_and_may_be_reloaded(registered):
    first = register_hook(hook_class("Toy", "toys"))
    second = register_hook(hook_class("Toy", "toys"))

    assert first is not second
    assert second is HOOKS["Toy"]


def test_a_plugin_file_that_was_edited_replaces_its_hook(registered):
    register_hook(hook_class("Toy", "lwyolo.plugins.toys_00aa"))
    edited = register_hook(hook_class("Toy", "lwyolo.plugins.toys_11bb"))

    assert edited is HOOKS["Toy"]


def test_two_hooks_of_one_name_are_refused(registered):
    register_hook(hook_class("Toy", "here"))
    with pytest.raises(RegistrationError) as error:
        register_hook(hook_class("Toy", "there"))

    assert "hook 'Toy' is registered twice: by here.Toy and by there.Toy. Rename one of them." == str(error.value)


def test_importing_the_module_does_not_import_ultralytics():
    code = "import sys, lwyolo.hook; print('ultralytics' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False\n" == run.stdout
