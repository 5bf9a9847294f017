"""Small detectors around one row, so that every registered module is built as a YAML builds it."""

from __future__ import annotations

import copy

import torch
import yaml as pyyaml
from torch import nn
from ultralytics.nn.tasks import DetectionModel

from lwyolo.engine import seam
from lwyolo.registry import MODULES
from lwyolo.spec import ModuleSpec

seam.install()

SCALES = {
    "n": [0.33, 0.25, 1024],
    "s": [0.33, 0.5, 1024],
    "m": [0.67, 0.75, 768],
    "l": [1.0, 1.0, 512],
    "x": [1.0, 1.25, 512],
}
OURS = [spec for spec in MODULES.values() if spec.cls.__module__.startswith("lwyolo.")]
PYRAMID = [
    [-1, 1, "Conv", [64, 3, 2]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 1, "Conv", [256, 3, 2]],  # 2 (P3/8)
    [-1, 1, "Conv", [256, 3, 2]],  # 3 (P4/16)
    [-1, 1, "Conv", [256, 3, 2]],  # 4 (P5/32)
]


def yaml_around(spec: ModuleSpec, scale: str = "n") -> dict:
    """Return a detector whose interesting row is the module's own example row."""
    _, repeats, name, args = pyyaml.safe_load(spec.row)
    backbone, head = copy.deepcopy(PYRAMID), [[[2, 3, 4], 1, "Detect", ["nc"]]]
    if spec.kind == "backbone":
        backbone = [[-1, repeats, name, args]]
        head = [[-1, 1, "Detect", ["nc"]]]
    elif spec.kind == "head":
        head = [[[2, 3, 4], repeats, name, args]]
    elif spec.emits == "levels":
        head = [[[2, 3, 4], repeats, name, args], [-1, 1, "Detect", ["nc"]]]
    elif "ch" in spec.roles:
        backbone.insert(3, [-1, 1, "Conv", [256, 3, 1]])
        head = [[[2, 3], repeats, name, args], [[6, 4, 5], 1, "Detect", ["nc"]]]
    else:
        head = [[2, repeats, name, args], [[5, 3, 4], 1, "Detect", ["nc"]]]
    return {"nc": 3, "scales": SCALES, "scale": scale, "yaml_file": f"{name}.yaml", "backbone": backbone, "head": head}


def detector(spec: ModuleSpec, scale: str = "n", seed: int = 0) -> DetectionModel:
    """Build it, with batch norms that have seen data, so that folding them is a real change."""
    torch.manual_seed(seed)
    model = DetectionModel(yaml_around(spec, scale), verbose=False)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    for name, parameter in model.named_parameters():
        if ".offset." in name:  # offsets start at zero: move them, or sampling is not tested
            nn.init.normal_(parameter, std=0.05)
    return model


def row_of(model: nn.Module, spec: ModuleSpec) -> nn.Module:
    """Return the module under test."""
    return next(m for m in model.modules() if type(m) is spec.cls)
