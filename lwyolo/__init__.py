"""lwyolo: lightweight-detector experiments on Ultralytics YOLO, without a fork.

Importing the package is cheap: torch and Ultralytics are imported when `YOLO` is first used. Where Ultralytics is
already loaded (a checkpoint of ours is being opened by the stock `ultralytics.YOLO`), the seam is put in place at
once, so that such a model can also be trained on and resumed there.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lwyolo.registry import register_module
from lwyolo.spec import Paper

if TYPE_CHECKING:
    from lwyolo.cost import Cost, op_cost
    from lwyolo.engine.info import profile
    from lwyolo.engine.model import YOLO
    from lwyolo.plugins import load as load_plugin

__version__ = "0.1.0"
__all__ = ["YOLO", "Cost", "Paper", "load_plugin", "op_cost", "profile", "register_module"]

_LAZY = {
    "YOLO": ("lwyolo.engine.model", "YOLO"),
    "Cost": ("lwyolo.cost", "Cost"),
    "op_cost": ("lwyolo.cost", "op_cost"),
    "profile": ("lwyolo.engine.info", "profile"),
    "load_plugin": ("lwyolo.plugins", "load"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'lwyolo' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


if "ultralytics.nn.tasks" in sys.modules and "lwyolo.engine.seam" not in sys.modules:
    import_module("lwyolo.engine.seam").install()
