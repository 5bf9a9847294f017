"""With the seam in place, every model YAML that Ultralytics ships builds as stock Ultralytics builds it."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
import yaml as pyyaml
from ultralytics.nn import tasks
from ultralytics.utils import ROOT

from lwyolo.engine import files, seam


def shipped() -> list[tuple[str, str]]:
    """Every file and scale; a YAML with a TorchVision row fetches weights when built and is left out."""
    combinations = []
    for file in sorted((ROOT / "cfg" / "models").rglob("*.yaml")):
        content = pyyaml.safe_load(file.read_text(encoding="utf-8"))
        if "TorchVision" not in str(content):
            combinations += [(str(file), scale) for scale in content.get("scales") or [""]]
    return combinations


SHIPPED = shipped()
SMALLEST = [
    (file, scale) for file, scale in SHIPPED if scale in ("n", "") or not any((file, "n") == s for s in SHIPPED)
]


@pytest.fixture(autouse=True)
def _seam_back():
    yield
    seam.install()


def parse(file: str, scale: str, device: str):
    yaml = {**pyyaml.safe_load(open(file, encoding="utf-8")), "scale": scale, "yaml_file": file}
    torch.manual_seed(0)
    with torch.device(device):
        return tasks.parse_model(deepcopy(yaml), ch=3, verbose=False)


def describe(model, save):
    rows = [(m.i, m.f, m.type, str(m.np), [type(x).__qualname__ for x in m.modules()]) for m in model]
    shapes = [(key, tuple(value.shape)) for key, value in model.state_dict().items()]
    return rows, shapes, save


def both(file, scale, device):
    seam.install()
    assert hasattr(tasks.parse_model, seam.MARK)
    ours = parse(file, scale, device)
    seam.uninstall()
    assert not hasattr(tasks.parse_model, seam.MARK)
    return ours, parse(file, scale, device)


def test_there_are_shipped_yamls_of_every_family():
    names = " ".join(file for file, _ in SHIPPED)

    assert len(SHIPPED) > 150
    assert all(family in names for family in ("yolov8", "yolo11", "rtdetr"))


@pytest.mark.parametrize(("file", "scale"), [s for s in SHIPPED if s in SMALLEST], ids=lambda v: v.rsplit("/", 1)[-1])
def test_smallest_scale_builds_as_stock(file, scale):
    ours, stock = both(file, scale, "meta")

    assert describe(*stock) == describe(*ours)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "scale"), SHIPPED, ids=lambda v: v.rsplit("/", 1)[-1])
def test_every_scale_builds_as_stock(file, scale):
    ours, stock = both(file, scale, "meta")

    assert describe(*stock) == describe(*ours)


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo11n.yaml", "yolov8n-seg.yaml", "yolov5n.yaml"])
def test_nano_weights_equal_stock_for_the_same_seed(name):
    file, scale = files.find_yaml(name)
    ours, stock = both(str(file), scale, "cpu")

    assert all(
        torch.equal(a, b) for a, b in zip(ours[0].state_dict().values(), stock[0].state_dict().values(), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "file", sorted({file for file, scale in SHIPPED if scale == "n"}), ids=lambda v: v.rsplit("/", 1)[-1]
)
def test_all_nano_weights_equal_stock_for_the_same_seed(file):
    ours, stock = both(file, "n", "cpu")

    assert all(
        torch.equal(a, b) for a, b in zip(ours[0].state_dict().values(), stock[0].state_dict().values(), strict=True)
    )
