"""Every registry of lwyolo on one page: modules, hooks, data formats; and how each is found.

A class registers itself with a decorator when its file is imported. `discover` imports the files of one of our own
packages; `load_entry_points` imports those of installed packages. Both are idempotent.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from lwyolo.errors import PluginError, RegistrationError, UnknownNameError, did_you_mean
from lwyolo.spec import CHANNEL_ROLES, HEAD_ROLES, Emits, Kind, ModuleSpec, Paper, Parameter, check_kind

T = TypeVar("T")
C = TypeVar("C", bound=type)

ENTRY_POINT_GROUP = "lwyolo.modules"
PLUGIN_NAMESPACE = "lwyolo.plugins."


class Registry(Generic[T]):
    """Named values of one kind; a name is given once.

    Example:
        >>> numbers: Registry[int] = Registry("number")
        >>> numbers.add("one", 1)
        >>> numbers["one"], list(numbers), "two" in numbers
        (1, ['one'], False)
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T, *, replace: bool = False) -> None:
        """Register `item` under `name`.

        Raises:
            RegistrationError: The name is taken and `replace` is false.
        """
        if name in self._items and not replace:
            raise RegistrationError(
                f"{self.what} {name!r} is registered twice: by {_origin(self._items[name])} and by "
                f"{_origin(item)}. Rename one of them."
            )
        self._items[name] = item

    def __getitem__(self, name: str) -> T:
        if name not in self._items:
            raise UnknownNameError(f"unknown {self.what} {name!r}.{did_you_mean(name, self._items)}")
        return self._items[name]

    def get(self, name: str) -> T | None:
        """Return the item, or `None` where the name is not registered."""
        return self._items.get(name)

    def remove(self, name: str) -> None:
        """Forget a name; an unknown one is ignored."""
        self._items.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def values(self) -> list[T]:
        """All items, ordered by name."""
        return [self._items[name] for name in self]


MODULES: Registry[ModuleSpec] = Registry("module")
HOOKS: Registry[type] = Registry("hook")
FORMATS: Registry[Any] = Registry("data format")


def register_module(
    *,
    paper: Paper,
    kind: Kind = "block",
    row: str = "",
    takes: tuple[str, ...] | None = None,
    name: str | None = None,
    onnx_opset: int = 0,
    no_export: dict[str, str] | None = None,
) -> Callable[[C], C]:
    """Make a `torch.nn.Module` class usable by name in a model YAML.

    The constructor's signature is the channel contract: `(c1, c2, …)`, `(c1, c2, n, …)`, `(ch, …)`, `(ch, c2[, n], …)`
    for a module over several levels, `(nc, …, ch)` for a head, or none of these for a module that keeps its input's
    channels. `forward -> list[Tensor]` says that the module emits several levels.

    Args:
        paper: The paper that the structure comes from.
        kind: What the module is in a detector, one of `spec.KINDS`.
        row: A YAML row to paste, as text; derived from the signature when empty.
        takes: Roles of the leading parameters, where their names differ: `("c1", "c2")` for `(dim, dim_out)`.
        name: The name in the YAML, by default the class name.
        onnx_opset: Lowest ONNX opset that can express the module; 0 for any.
        no_export: Ultralytics export formats that cannot hold the module, each with the reason.

    Raises:
        RegistrationError: The class cannot be registered; the message says why.
    """

    def decorate(cls: C) -> C:
        label = name or cls.__name__
        _check_class(cls, label, kind, paper)
        parameters = read_parameters(cls, takes)
        spec = ModuleSpec(
            name=label,
            cls=cls,
            kind=kind,
            paper=paper,
            row=row or f"[-1, 1, {label}, []]",
            parameters=parameters,
            emits="tensor" if "nc" in (p.role for p in parameters) else _emits(cls),  # a head ends the model
            summary=(inspect.getdoc(cls) or "").split("\n", 1)[0],
            onnx_opset=onnx_opset,
            no_export=tuple((no_export or {}).items()),
        )
        previous = MODULES.get(label)
        MODULES.add(label, spec, replace=previous is not None and same_source(previous.cls, cls))
        return cls

    return decorate


def read_parameters(cls: type, takes: tuple[str, ...] | None = None) -> tuple[Parameter, ...]:
    """Read the constructor of `cls` into parameters with roles.

    Raises:
        RegistrationError: The constructor takes `*args`, or `takes` names an unknown role or too many parameters.
    """
    if all(
        "__init__" not in vars(base) for base in cls.__mro__[:-2]
    ):  # no constructor of its own: nn.Module's takes nothing
        return ()
    signature = [p for p in inspect.signature(cls).parameters.values() if p.kind is not p.VAR_KEYWORD]
    if any(p.kind is p.VAR_POSITIONAL for p in signature):
        raise RegistrationError(
            f"{cls.__name__}: the constructor takes *args, so its channels cannot be read. "
            "Name the parameters (c1, c2, …)."
        )
    roles = (
        dict(zip((p.name for p in signature), takes, strict=False))
        if takes is not None
        else _roles([p.name for p in signature])
    )
    if takes is not None and (len(takes) > len(signature) or not set(takes) <= {*CHANNEL_ROLES, *HEAD_ROLES}):
        raise RegistrationError(
            f"{cls.__name__}: takes={takes!r} does not fit the constructor; expected at most "
            f"{len(signature)} of {', '.join(dict.fromkeys((*CHANNEL_ROLES, *HEAD_ROLES)))}."
        )
    return tuple(
        Parameter(
            name=p.name,
            role=roles.get(p.name),
            required=p.default is p.empty,
            default=None if p.default is p.empty else p.default,
            annotation="" if p.annotation is p.empty else str(p.annotation),
        )
        for p in signature
    )


def _roles(names: list[str]) -> dict[str, str]:
    """Apply the signature rule to the names of a constructor's parameters."""
    if "nc" in names and "ch" in names:
        return {name: name for name in names if name in HEAD_ROLES}
    lead: list[str] = []
    for expected in (("c1", "ch"), ("c2",), ("n",)):
        if len(lead) < len(names) and names[len(lead)] in expected:
            lead.append(names[len(lead)])
        else:
            break
    return {name: name for name in lead}


def _emits(cls: type) -> Emits:
    annotation = str(inspect.signature(cls.forward).return_annotation)  # type: ignore[attr-defined]
    return "levels" if annotation.replace("typing.", "").lower().startswith(("list[", "tuple[")) else "tensor"


def _check_class(cls: type, label: str, kind: str, paper: object) -> None:
    if not isinstance(cls, type) or not callable(getattr(cls, "forward", None)):
        raise RegistrationError(f"{label}: @register_module decorates a class derived from torch.nn.Module.")
    if not isinstance(paper, Paper):
        raise RegistrationError(
            f"{label}: paper={paper!r}, expected Paper(title=…, venue=…, year=…, url=…). "
            "Every registered module cites one."
        )
    if cls.__module__ == "__main__":
        raise RegistrationError(
            f"{label}: defined in a script, so a checkpoint would store it as __main__.{cls.__name__} and could not be "
            "opened again. Move the class to a file of its own and import it, or pass that file to --plugins."
        )
    if not label.isidentifier():
        raise RegistrationError(f"{label!r} is not a valid module name: use letters, digits and underscores, no dots.")
    check_kind(label, kind)
    _check_twins(cls, label)


def _check_twins(cls: type, label: str) -> None:
    """Refuse a `forward` that a base's twin would silently replace: at `fuse()`, or when a `C2f` is exported."""
    owners = {
        name: next((base for base in cls.__mro__ if name in vars(base)), None)
        for name in ("forward", "forward_fuse", "forward_split")
    }
    forward = owners.pop("forward")
    for twin, owner in owners.items():
        if owner is not None and forward is not owner and issubclass(forward or cls, owner):
            raise RegistrationError(
                f"{label}: overrides forward of {owner.__name__} but not {twin}, which Ultralytics puts in its place: "
                f"what forward adds would vanish there. Override both, or hold a {owner.__name__} instead of deriving "
                "from it."
            )


def same_source(old: type, new: type) -> bool:
    """Whether both classes come from one file: a reload, or two versions of a plugin file (it ends in a hash)."""

    def source(cls: type) -> str:
        module = cls.__module__
        return module.rsplit("_", 1)[0] if module.startswith(PLUGIN_NAMESPACE) else module

    return source(old) == source(new) and old.__qualname__ == new.__qualname__


def _origin(item: object) -> str:
    cls = item.cls if isinstance(item, ModuleSpec) else item
    return f"{getattr(cls, '__module__', '?')}.{getattr(cls, '__qualname__', cls)}"


def discover(package: str) -> None:
    """Import the files of one of lwyolo's own packages, so that what they define registers itself; not `_helpers`."""
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if not info.name.startswith("_"):
            importlib.import_module(f"{package}.{info.name}")


def load_entry_points(group: str = ENTRY_POINT_GROUP) -> None:
    """Import the plugins that installed packages announce in `group`, unless `LWYOLO_NO_ENTRY_POINTS` is set.

    Raises:
        PluginError: A plugin cannot be imported; the message names the package that announced it.
    """
    if os.environ.get("LWYOLO_NO_ENTRY_POINTS"):
        return
    for point in entry_points(group=group):
        try:
            point.load()
        except Exception as error:  # third-party code: any error of its import is reported with the package's name
            package = point.dist.name if point.dist else "an unknown package"
            raise PluginError(
                f"plugin {point.name!r} ({point.value}) of package {package} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
