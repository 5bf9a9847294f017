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
    """A module where it was called.

    Args:
        path: Its name under the caller.
        type: Its class, or what the YAML calls it.
        index: Row of the model YAML, `None` where it is no row.
        from_: Rows that it reads, -1 for the one before.
        calls: How often it ran there.
        inputs: Shapes of its last call, as are `outputs`.
    """

    path: str
    type: str
    index: int | None = None
    from_: int | tuple[int, ...] | None = None
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
        self.model = model
        self.restart()
        self._names: dict[int, list[str]] = {}
        named = list(model.named_modules(remove_duplicate=False))
        for name, module in named:
            self._names.setdefault(id(module), []).append(name)
        self.modules = list({id(module): module for _, module in named}.values())

    def restart(self) -> None:
        """Forget the calls of a pass before."""
        self.root = self.current = Call("", type(self.model).__name__)
        self._stack: list[Call] = []

    @contextmanager
    def following(self) -> Iterator[CallTree]:
        """Keep the tree while the model runs."""
        handles = []
        for module in self.modules:
            handles.append(module.register_forward_pre_hook(self._enter))
            handles.append(module.register_forward_hook(self._leave))
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def own_params(self) -> dict[Call, int]:
        """Give each parameter, once, to the innermost call whose path leads to it."""
        by_path: dict[str, Call] = {}
        for call in self.root.walk():
            by_path.setdefault(call.path, call)
        params: dict[Call, int] = {}
        for name, parameter in self.model.named_parameters():
            path = name
            while path not in by_path:
                path = path.rpartition(".")[0]
            params[by_path[path]] = params.get(by_path[path], 0) + parameter.numel()
        return params

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._stack.append(self.current)
        if module is not self.model:
            path = self._path(module)
            if path not in self.current.children:
                self.current.children[path] = _call(path, module)
            self.current = self.current.children[path]
        self.current.calls += 1
        self.current.inputs = _shapes(list(args))

    def _leave(self, module: nn.Module, _: Any, output: Any) -> None:
        self.current.outputs = _shapes(output)
        self.current = self._stack.pop()

    def _path(self, module: nn.Module) -> str:
        names = self._names.get(id(module)) or [type(module).__name__]
        if len(names) == 1:
            return names[0]
        prefix = f"{self.current.path}." if self.current.path else ""
        return min((name for name in names if name.startswith(prefix)), key=len, default=names[0])


def _call(path: str, module: nn.Module) -> Call:
    """Describe a module; upstream's parser leaves `i`, `f` and `type` on each row that it builds."""
    index, from_, label = (vars(module).get(name) for name in ("i", "f", "type"))
    if not (isinstance(index, int) and isinstance(label, str)):
        return Call(path, type(module).__name__)
    reads = tuple(from_) if isinstance(from_, list) else from_ if isinstance(from_, int) else None
    return Call(path, label.rpartition(".")[2], index, reads)


def _shapes(output: Any) -> tuple[Shape, ...]:
    """Shapes of what the next module receives; of a tuple with more than tensors, as of a head, the first element."""
    if isinstance(output, Tensor):
        return (tuple(output.shape),)
    if isinstance(output, tuple) and not all(isinstance(item, Tensor) for item in output):
        return _shapes(output[0])
    if isinstance(output, dict):
        output = list(output.values())
    return tuple(shape for item in output for shape in _shapes(item)) if isinstance(output, (list, tuple)) else ()
