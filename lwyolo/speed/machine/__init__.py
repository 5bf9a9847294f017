"""What a machine is and what it can do: the facts, the ceilings that were measured, and the file that keeps both."""

from __future__ import annotations

from lwyolo.speed.machine.data import (
    KINDS,
    MEMORY,
    Bandwidth,
    Cache,
    Ceilings,
    Facts,
    Kind,
    Machine,
    Peak,
    model_flops_utilisation,
)
from lwyolo.speed.machine.facts import read_facts
from lwyolo.speed.machine.measure import QUICK, Effort, measure
from lwyolo.speed.machine.store import from_json, load, save, to_json

__all__ = [
    "KINDS",
    "MEMORY",
    "QUICK",
    "Bandwidth",
    "Cache",
    "Ceilings",
    "Effort",
    "Facts",
    "Kind",
    "Machine",
    "Peak",
    "from_json",
    "load",
    "measure",
    "model_flops_utilisation",
    "read_facts",
    "save",
    "to_json",
]
