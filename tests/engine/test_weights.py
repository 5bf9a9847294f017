from __future__ import annotations

import copy

import torch
from test_seam import toy
from ultralytics.nn import tasks
from ultralytics.nn.tasks import DetectionModel

from lwyolo.engine.weights import align_rows, transfer


def stock_yolov8n(seed=0, nc=80):
    torch.manual_seed(seed)
    return DetectionModel(tasks.yaml_model_load("yolov8n.yaml"), nc=nc, verbose=False)


def inserted(at: int):
    """yolov8n with a gate inserted before row `at`; rows that named later layers are shifted."""
    yaml = copy.deepcopy(tasks.yaml_model_load("yolov8n.yaml"))
    rows = yaml["backbone"] + yaml["head"]

    def shift(source):
        return [shift(s) for s in source] if isinstance(source, list) else source + (source >= at)

    rows = [[shift(f), *rest] for f, *rest in rows]
    rows.insert(at, [-1, 1, "ToyGate", [1.0]])
    yaml["backbone"], yaml["head"] = rows[:10], rows[10:]
    torch.manual_seed(1)
    return DetectionModel(yaml, verbose=False)


def test_same_model_takes_everything():
    source, target = stock_yolov8n(0), stock_yolov8n(1)
    report = transfer(target, source, "stock.pt")

    assert (report.taken, report.rows_missing) == (report.total, ())
    assert all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    )


def test_an_inserted_row_costs_no_weights():
    source, target = stock_yolov8n(0), inserted(4)
    report = transfer(target, source, "stock.pt")
    image = torch.rand(1, 3, 64, 64)

    assert (report.taken, report.rows_missing) == (report.total, ())
    assert torch.equal(source.eval()(image)[0], target.eval()(image)[0])


def test_upstream_alone_would_have_lost_most():
    source, target = stock_yolov8n(0), inserted(4)
    state = target.state_dict()
    by_key = [k for k, v in source.state_dict().items() if k in state and state[k].shape == v.shape]

    assert len(by_key) < 0.5 * len(state)


def test_rows_without_a_counterpart_are_named():
    yaml = copy.deepcopy(tasks.yaml_model_load("yolov8n.yaml"))
    yaml["head"][-1:] = [[[15, 18, 21], 1, "ToyNeck", [256]], [-1, 1, "Detect", ["nc"]]]
    report = transfer(DetectionModel(yaml, verbose=False), stock_yolov8n(), "stock.pt")

    assert ["layer 22 ToyNeck: 0 of 18 tensors"] == [row for row in report.rows_missing if "ToyNeck" in row]
    assert any(row.startswith("layer 23 Detect: ") for row in report.rows_missing)
    assert 2 == len(report.rows_missing)
    assert 0 < report.taken < report.total


def test_another_number_of_classes_keeps_all_but_the_last_layers():
    source, target = stock_yolov8n(0), stock_yolov8n(1, nc=3)
    report = transfer(target, source, "stock.pt")

    assert 1 == len(report.rows_missing)
    assert report.rows_missing[0].startswith("layer 22 Detect: ")
    assert report.taken == sum(
        torch.equal(target.state_dict()[key], value)
        for key, value in source.state_dict().items()
        if target.state_dict()[key].shape == value.shape
    )


def test_source_is_left_as_it_is():
    source = stock_yolov8n(0)
    before = {key: value.clone() for key, value in source.state_dict().items()}
    transfer(inserted(4), source)

    assert list(before) == list(source.state_dict())
    assert all(torch.equal(before[key], value) for key, value in source.state_dict().items())


def test_a_head_of_another_layout_is_transferred_without_upstreams_look_at_it():
    yaml = toy(head=[[[4, 6, 8], 1, "ToyDetect", ["nc"]]])
    source = DetectionModel(copy.deepcopy(yaml), verbose=False)
    target = DetectionModel(copy.deepcopy(yaml), verbose=False)
    del target.model[-1].cv3
    target.model[-1].cv3 = torch.nn.ModuleList([torch.nn.Conv2d(64, 3, 1)])
    report = transfer(target, source, "toy.pt")

    assert 1 == len(report.rows_missing)
    assert report.rows_missing[0].startswith("layer 9 ToyDetect: ")


def test_rows_are_aligned_in_order():
    source, target = stock_yolov8n(0), inserted(4)
    pairs = align_rows(list(target.model), list(source.model))

    assert {**{i: i for i in range(4)}, **{i + 1: i for i in range(4, 23)}} == pairs
