"""The `activation:` key of a model YAML: a class of `torch.nn` with literal arguments, resolved by name.

Upstream evaluates the text as Python; here it is parsed and looked up, so a YAML stays data.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from lwyolo.errors import GraphError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


def resolve_activation(text: str, where: str = "model YAML") -> nn.Module:
    """Build the activation that a YAML names.

    Args:
        text: `nn.ReLU()`, `torch.nn.LeakyReLU(0.1)` or a bare name such as `Hardswish`.
        where: The file, for the message.

    Raises:
        GraphError: The text is not a class of `torch.nn.modules.activation` with literal arguments.
    """
    from torch.nn.modules import activation

    name, args, kwargs = _parse(text, where)
    if name not in activation.__all__:
        hint = did_you_mean(name, activation.__all__)
        raise GraphError(f"{where}: activation: {text!r} names no activation of torch.nn.{hint}")
    try:
        module: nn.Module = getattr(activation, name)(*args, **kwargs)
    except TypeError as error:
        raise GraphError(f"{where}: activation: {text!r}: {error}") from error
    return module


def _parse(text: str, where: str) -> tuple[str, list[object], dict[str, object]]:
    refused = GraphError(
        f"{where}: activation: {text!r} is refused: expected a class of torch.nn with literal arguments, such as "
        "nn.SiLU() or nn.LeakyReLU(0.1). Nothing of it was run."
    )
    try:
        node = ast.parse(str(text), mode="eval").body
        call = node if isinstance(node, ast.Call) else ast.Call(func=node, args=[], keywords=[])
        args = [ast.literal_eval(arg) for arg in call.args]
        kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError) as error:
        raise refused from error
    *prefix, name = ast.unparse(call.func).split(".")
    if prefix not in ([], ["nn"], ["torch", "nn"]) or not name.isidentifier():
        raise refused
    return name, args, kwargs
