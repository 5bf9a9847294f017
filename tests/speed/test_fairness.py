from __future__ import annotations

import dataclasses
import json

import pytest

from lwyolo.speed.fairness import MUST_AGREE, Conditions, conditions, differences, from_plain

HERE = conditions(
    (640, 480), 1, 2, "fp32", "onnxruntime", "1.32.0", "cpu", "torchvision", {"KMP_BLOCKTIME": "0", "HOME": "x"}
)


def test_what_was_measured_here_says_where():
    assert ((640, 480), 2, "onnxruntime", "1.32.0") == (HERE.imgsz, HERE.threads, HERE.runtime, HERE.runtime_version)
    assert {"KMP_BLOCKTIME": "0"} == HERE.variables
    assert "torch" in HERE.versions
    assert HERE.usable_cores >= 1


def test_conditions_survive_json():
    assert HERE == from_plain(json.loads(json.dumps(dataclasses.asdict(HERE))))


def test_equal_conditions_differ_in_nothing_whatever_the_load():
    assert ([], []) == differences(HERE, dataclasses.replace(HERE, load=99.0))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Conditions) if field.name != "load"])
def test_each_difference_is_named_and_some_forbid_a_comparison(name):
    other = dataclasses.replace(HERE, **{name: "another"})
    forbidding, told = differences(HERE, other)
    text = f"{name}: {getattr(HERE, name)} against another"

    assert ([text], []) == (forbidding, told) if name in MUST_AGREE else ([], [text]) == (forbidding, told)
