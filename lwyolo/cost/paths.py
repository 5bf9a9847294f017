"""The tree of module calls of one forward pass.

A call is placed by its path and not by its module: Ultralytics shares one activation object over a whole network, and
that object is called under another parent each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(eq=False, slots=True)
class Call:
    """A module where it was called: `path` is its name under the caller, `calls` how often it ran there."""

    path: str
    module: nn.Module
    calls: int = 0
    inputs: tuple[Shape, ...] = ()
    outputs: tuple[Shape, ...] = ()
    children: dict[str, Call] = field(default_factory=dict)

    def walk(self) -> Iterator[Call]:
        """This call and all below it, callers first."""
        yield self
        for child in self.children.values():
            yield from child.walk()


class CallTree:
    """Follows the calls of a model's modules by hooks on it; `current` is the innermost."""

    def __init__(self, model: nn.Module) -> None:
        self.root = Call("", model)
        self.current = self.root
        self._stack: list[Call] = []
        self._names: dict[int, list[str]] = {}
        for name, module in model.named_modules(remove_duplicate=False):
            self._names.setdefault(id(module), []).append(name)

    @contextmanager
    def following(self) -> Iterator[CallTree]:
        """Keep the tree while the model runs."""
        handles = []
        for module in self.root.module.modules():
            handles.append(module.register_forward_pre_hook(self._enter))
            handles.append(module.register_forward_hook(self._leave))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._stack.append(self.current)
        if module is not self.root.module:
            path = self._path(module)
            self.current = self.current.children.setdefault(path, Call(path, module))
        self.current.calls += 1
        self.current.inputs = tuple(_shapes(list(args)))

    def _leave(self, module: nn.Module, _: Any, output: Any) -> None:
        self.current.outputs = tuple(_shapes(output))
        self.current = self._stack.pop()

    def _path(self, module: nn.Module) -> str:
        names = self._names.get(id(module)) or [type(module).__name__]
        if len(names) == 1:
            return names[0]
        prefix = f"{self.current.path}." if self.current.path else ""
        return min((name for name in names if name.startswith(prefix)), key=len, default=names[0])


def _shapes(output: Any) -> Iterator[Shape]:
    """Shapes of what the next module receives: a tuple's first element, as an evaluating head adds its raw output."""
    if isinstance(output, Tensor):
        yield tuple(output.shape)
    elif isinstance(output, tuple):
        yield from _shapes(output[0] if output else None)
    elif isinstance(output, list):
        for item in output:
            yield from _shapes(item)
    elif isinstance(output, dict):
        yield from _shapes(list(output.values()))
