"""Frozen data about a registered module: its paper, its constructor's channel contract, what it emits.

Standard library only: a spec can be read, listed and compared where torch is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from lwyolo.errors import RegistrationError, did_you_mean

Kind = Literal["conv", "block", "attention", "fusion", "upsample", "downsample", "neck", "head", "backbone"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

Role = Literal["c1", "c2", "n", "ch", "nc", "reg_max", "end2end", "legacy", "kpt_shape"]
CHANNEL_ROLES: Final[tuple[str, ...]] = ("c1", "c2", "n", "ch")
HEAD_ROLES: Final[tuple[str, ...]] = ("nc", "reg_max", "end2end", "legacy", "kpt_shape", "ch")

Emits = Literal["tensor", "levels"]


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a structure was published.

    Args:
        title: Full title.
        venue: Conference or journal, without the year: `CVPR`.
        year: Year of publication.
        url: Link to the paper.
    """

    title: str
    venue: str
    year: int
    url: str

    def __post_init__(self) -> None:
        for name in ("title", "venue", "url"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise RegistrationError(f"Paper.{name} is {getattr(self, name)!r}, expected a non-empty string.")
        if not isinstance(self.year, int):
            raise RegistrationError(f"Paper.year is {self.year!r}, expected an integer such as 2021.")
        if not self.url.startswith(("https://", "http://")):
            raise RegistrationError(f"Paper.url is {self.url!r}, expected a link that starts with https://.")

    def __str__(self) -> str:
        return f"{self.title} ({self.venue} {self.year})"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a module's constructor, without `self`.

    Args:
        name: Its name.
        role: What the resolver fills it with, or `None` for one that the YAML row fills.
        required: Whether it has no default.
        default: The default, `None` when required.
        annotation: The annotation as text, empty when there is none.
    """

    name: str
    role: str | None
    required: bool
    default: Any = None
    annotation: str = ""


@dataclass(frozen=True, slots=True)
class ModuleSpec:
    """A registered module, as data.

    Args:
        name: The name that a YAML row uses.
        cls: The class.
        kind: What the module is in a detector.
        paper: Its source.
        row: A YAML row ready to paste.
        parameters: The constructor's parameters in order, each with its role.
        emits: `levels` when `forward` returns several feature maps, one a level.
        summary: First line of the docstring.
        onnx_opset: Lowest ONNX opset in which it can be exported, 0 for any.
        no_export: `(format, reason)` for each Ultralytics export format that cannot hold it.
    """

    name: str
    cls: type
    kind: Kind
    paper: Paper
    row: str
    parameters: tuple[Parameter, ...]
    emits: Emits = "tensor"
    summary: str = ""
    onnx_opset: int = 0
    no_export: tuple[tuple[str, str], ...] = field(default=())

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the constructor takes, in the order of its parameters."""
        return tuple(p.role for p in self.parameters if p.role)

    @property
    def signature(self) -> str:
        """The constructor as text: `DyHead(ch, c2, n=1)`."""
        parts = [p.name if p.required else f"{p.name}={p.default!r}" for p in self.parameters]
        return f"{self.name}({', '.join(parts)})"

    @property
    def yaml_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that a YAML row's arguments fill, in order: all but what the graph around the row decides."""
        return tuple(p for p in self.parameters if p.role in (None, "c2", "nc", "kpt_shape"))


def check_kind(name: str, kind: str) -> None:
    """Raise `RegistrationError` unless `kind` is one of `KINDS`."""
    if kind not in KINDS:
        raise RegistrationError(f"{name}: unknown kind {kind!r}.{did_you_mean(kind, KINDS)} Kinds: {', '.join(KINDS)}.")
