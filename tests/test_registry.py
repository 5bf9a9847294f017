from __future__ import annotations

import pytest
from torch import Tensor, nn

from lwyolo.errors import PluginError, RegistrationError, UnknownNameError
from lwyolo.registry import MODULES, Registry, load_entry_points, read_parameters, register_module
from lwyolo.spec import Paper

PAPER = Paper(title="A toy", venue="Tests", year=2026, url="https://example.org")


def roles(cls, takes=None):
    return tuple(p.role for p in read_parameters(cls, takes))


class Base(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("constructor", "expected"),
    [
        (lambda self, c1, c2, k=1: None, ("c1", "c2", None)),
        (lambda self, c1, c2, n=1, e=0.5: None, ("c1", "c2", "n", None)),
        (lambda self, c1, k=1, n=1: None, ("c1", None, None)),
        (lambda self, ch, c2, n=1: None, ("ch", "c2", "n")),
        (lambda self, ch, eps=1e-4: None, ("ch", None)),
        (lambda self, nc=80, w=64, reg_max=16, end2end=False, ch=(): None, ("nc", None, "reg_max", "end2end", "ch")),
        (lambda self, factor=0.5, c1=3: None, (None, None)),
        (lambda self: None, ()),
    ],
)
def test_signature_is_the_channel_contract(constructor, expected):
    assert expected == roles(type("Toy", (Base,), {"__init__": constructor}))


def test_takes_overrides_the_names():
    class Toy(Base):
        def __init__(self, dim, dim_out, depth=1):
            super().__init__()

    assert ("c1", "c2", "n") == roles(Toy, ("c1", "c2", "n"))


def test_takes_that_does_not_fit_is_refused():
    class Toy(Base):
        def __init__(self, dim):
            super().__init__()

    with pytest.raises(RegistrationError, match="does not fit the constructor; expected at most 1 of c1, c2"):
        read_parameters(Toy, ("c1", "c2"))


def test_a_name_registered_twice_names_both():
    registry: Registry[type] = Registry("thing")
    registry.add("Base", Base)
    with pytest.raises(RegistrationError) as error:
        registry.add("Base", nn.Conv2d)

    assert (
        f"thing 'Base' is registered twice: by {__name__}.Base and by torch.nn.modules.conv.Conv2d. Rename one of them."
    ) == str(error.value)


def test_a_module_registered_twice_is_refused_and_the_first_stays():
    first = register_module(paper=PAPER, name="ToyTwice")(type("First", (Base,), {}))
    try:
        with pytest.raises(RegistrationError, match="module 'ToyTwice' is registered twice"):
            register_module(paper=PAPER, name="ToyTwice")(type("Second", (Base,), {}))

        assert first is MODULES["ToyTwice"].cls
    finally:
        MODULES.remove("ToyTwice")


def test_unknown_name_gives_the_nearest():
    registry: Registry[int] = Registry("module")
    registry.add("DyHead", 1)
    with pytest.raises(UnknownNameError) as error:
        registry["DyHed"]

    assert "unknown module 'DyHed'. Did you mean DyHead?" == str(error.value)


def test_no_paper_no_registration():
    with pytest.raises(RegistrationError) as error:
        register_module(paper=None)(Base)

    assert (
        "Base: paper=None, expected Paper(title=…, venue=…, year=…, url=…). Every registered module cites one."
    ) == str(error.value)


def test_a_class_of_a_script_is_refused():
    script = type("Mine", (Base,), {"__module__": "__main__"})
    with pytest.raises(RegistrationError) as error:
        register_module(paper=PAPER)(script)

    assert (
        "Mine: defined in a script, so a checkpoint would store it as __main__.Mine and could not be opened again. Move "
        "the class to a file of its own and import it, or pass that file to --plugins."
    ) == str(error.value)


@pytest.mark.parametrize("name", ["nn.Mine", "my-block", "1block", ""])
def test_a_name_that_a_yaml_cannot_hold_is_refused(name):
    with pytest.raises(RegistrationError, match=r"is not a valid module name|registered"):
        register_module(paper=PAPER, name=name or " ")(Base)


def test_unknown_kind_gives_the_nearest():
    with pytest.raises(RegistrationError, match=r"Base: unknown kind 'nek'. Did you mean neck\?"):
        register_module(paper=PAPER, kind="nek")(Base)


@pytest.mark.parametrize("field", ["title", "venue", "url"])
def test_a_paper_without_a_field_is_refused(field):
    good = {"title": "T", "venue": "CVPR", "year": 2021, "url": "https://x"}
    with pytest.raises(RegistrationError, match=f"Paper.{field} is ''"):
        Paper(**{**good, field: ""})


def test_constructor_with_star_args_is_refused():
    class Toy(Base):
        def __init__(self, *args):
            super().__init__()

    with pytest.raises(RegistrationError, match="takes \\*args"):
        read_parameters(Toy)


def test_a_plugin_that_cannot_be_loaded_is_named_with_its_package(monkeypatch):
    class Point:
        name, value, dist = "blocks", "lwtoys.blocks", type("Dist", (), {"name": "lwtoys"})()

        def load(self):
            raise ModuleNotFoundError("No module named 'lwtoys'")

    monkeypatch.delenv("LWYOLO_NO_ENTRY_POINTS")
    monkeypatch.setattr("lwyolo.registry.entry_points", lambda group: [Point()] if group == "lwyolo.modules" else [])
    with pytest.raises(PluginError) as error:
        load_entry_points()

    assert (
        "plugin 'blocks' (lwtoys.blocks) of package lwtoys cannot be loaded: ModuleNotFoundError: No module named 'lwtoys'"
    ) == str(error.value)


def test_a_head_emits_no_levels_whatever_its_forward_says():
    class ListHead(Base):
        def __init__(self, nc=80, ch=()):
            super().__init__()

        def forward(self, x: list[Tensor]) -> list[Tensor]:
            return x

    register_module(paper=PAPER, kind="head")(ListHead)
    try:
        assert "tensor" == MODULES["ListHead"].emits
    finally:
        MODULES.remove("ListHead")
