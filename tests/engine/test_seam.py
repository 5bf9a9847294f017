from __future__ import annotations

import ast
import copy
import io
import pickle
import traceback

import pytest
import torch
import toy_blocks
from torch import nn
from ultralytics.nn import tasks
from ultralytics.nn.modules import Conv, Detect
from ultralytics.nn.tasks import DetectionModel

from lwyolo.engine import parser, seam
from lwyolo.errors import GraphError, RegistrationError, UnsupportedUltralyticsError
from lwyolo.registry import MODULES, register_module

SCALES = {"n": [0.33, 0.25, 1024], "s": [0.33, 0.5, 1024], "x": [1.0, 1.5, 512]}


def toy(scale="n", head=None, **keys):
    """A detector of toy modules, of every channel contract."""
    backbone = [
        [-1, 1, "ToyConv", [64, 3, 2]],
        [-1, 1, "ToyConv", [128, 3, 2]],
        [-1, 3, "ToyC2f", [128, True]],
        [-1, 1, "ToyConv", [256, 3, 2]],
        [-1, 6, "ToyC2f", [256, True]],
        [-1, 1, "ToyConv", [512, 3, 2]],
        [-1, 6, "ToyC2f", [512, True]],
        [-1, 1, "ToyConv", [1024, 3, 2]],
        [-1, 3, "ToyC2f", [1024, True]],
    ]
    head = head or [[[4, 6, 8], 1, "Detect", ["nc"]]]
    return {
        "nc": 3,
        "scales": SCALES,
        "scale": scale,
        "yaml_file": "toy.yaml",
        "backbone": backbone,
        "head": head,
        **keys,
    }


def stock(yaml):
    """The same YAML with the built-in counterparts."""
    return ast.literal_eval(str(yaml).replace("'ToyConv'", "'Conv'").replace("'ToyC2f'", "'C2f'"))


def build(yaml, **keys):
    return DetectionModel(copy.deepcopy(yaml), verbose=False, **keys)


def message(yaml):
    with pytest.raises(GraphError) as error:
        build(yaml)
    return str(error.value)


@pytest.mark.parametrize("scale", ["n", "s", "x"])
def test_registered_rows_get_the_channels_of_their_builtin_counterparts(scale):
    ours, theirs = build(toy(scale)), build(stock(toy(scale)))

    assert [tuple(p.shape) for p in theirs.parameters()] == [tuple(p.shape) for p in ours.parameters()]
    assert theirs.save == ours.save
    assert theirs.stride.tolist() == ours.stride.tolist()


def test_install_is_idempotent_and_reversible():
    seam.install()
    installed = tasks.parse_model
    seam.install()
    assert installed is tasks.parse_model

    seam.uninstall()
    try:
        assert not hasattr(tasks.parse_model, seam.MARK)
        with pytest.raises(KeyError):
            build(toy())
    finally:
        seam.install()


def test_a_row_of_several_levels_feeds_the_stock_head_and_keeps_its_strides():
    model = build(toy(head=[[[4, 6, 8], 1, "ToyNeck", [256]], [-1, 1, "Detect", ["nc"]]]))

    assert [8.0, 16.0, 32.0] == model.stride.tolist()
    assert [64, 64, 64] == [tower[0].conv.in_channels for tower in model.model[-1].cv2]
    assert -1 == model.model[-1].f


@pytest.mark.parametrize("head", ["Segment", "Pose", "OBB"])
def test_every_builtin_head_reads_several_levels(head):
    args = {"Segment": ["nc", 32, 256], "Pose": ["nc", [17, 3]], "OBB": ["nc", 1]}[head]
    yaml = toy(head=[[[4, 6, 8], 1, "ToyNeck", [256]], [-1, 1, head, args]], kpt_shape=[17, 3])
    cls = {"Segment": tasks.SegmentationModel, "Pose": tasks.PoseModel, "OBB": tasks.OBBModel}[head]
    model = cls(copy.deepcopy(yaml), verbose=False)

    assert [8.0, 16.0, 32.0] == model.stride.tolist()


def test_index_rows_pick_levels():
    head = [
        [[4, 6, 8], 1, "ToyNeck", [256]],
        [9, 1, "Index", [64, 0]],
        [9, 1, "Index", [64, 2]],
        [[10, 11], 1, "Detect", ["nc"]],
    ]

    assert [8.0, 32.0] == build(toy(head=head)).stride.tolist()


def test_channels_of_a_backbone_row_are_asked_before_it_is_built():
    yaml = toy(head=[[-1, 1, "ToyNeck", [256]], [-1, 1, "Detect", ["nc"]]])
    yaml["backbone"] = [[-1, 1, "ToyPyramid", ["large"]]]
    model = build(yaml)

    assert [32, 48, 64] == [project.conv.in_channels for project in model.model[1].project]
    assert [8.0, 16.0, 32.0] == model.stride.tolist()


def test_string_arguments_equal_to_a_local_of_the_parser_stay_strings():
    names = ["n", "act", "scale", "d", "m", "args", "ch", "legacy", "width", "c2", "save", "max_channels"]
    modes = [
        build(toy(head=[[8, 1, "ToyGate", [0.5, name]], [[4, 6, 9], 1, "Detect", ["nc"]]])).model[9].mode
        for name in names
    ]

    assert names == modes


def test_head_takes_legacy_from_its_own_yaml_whatever_was_built_before():
    head = [[[4, 6, 8], 1, "ToyDetect", ["nc"]]]
    before = vars(toy_blocks.ToyDetect).get("legacy", "absent")
    build(tasks.yaml_model_load("yolov8n.yaml"))
    after_v8 = build(toy(head=head))
    build(tasks.yaml_model_load("yolo11n.yaml"))
    after_11 = build(toy(head=head))
    light = build(toy(head=head, legacy=False))

    assert count(after_v8) == count(after_11) > count(light)
    assert (True, True, False) == tuple(m.model[-1].legacy for m in (after_v8, after_11, light))
    assert before == vars(toy_blocks.ToyDetect).get("legacy", "absent")


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_activation_of_one_yaml_does_not_leak_into_the_next():
    assert isinstance(build(toy(activation="nn.ReLU()")).model[0].conv.act, nn.ReLU)
    assert isinstance(build(toy()).model[0].conv.act, nn.SiLU)


def test_activation_of_a_failed_build_does_not_leak():
    message(toy(activation="nn.ReLU()", head=[[[4, 6, 8], 1, "Detect", []]]))

    assert isinstance(Conv.default_act, nn.SiLU)


def test_activation_that_is_code_is_refused_and_nothing_runs(tmp_path):
    target = tmp_path / "pwned"
    text = message(toy(activation=f"__import__('pathlib').Path({str(target)!r}).touch()"))

    assert "is refused" in text
    assert not target.exists()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            [[4, 6, 8], 1, "ToyNek", [256]],
            "toy.yaml, head row 1 (layer 9): unknown module 'ToyNek'. Did you mean ToyNeck?",
        ),
        (
            [-1, 1, "ToyNeck", [256]],
            "toy.yaml, head row 1 (layer 9): ToyNeck takes several levels, but from -1 is one feature map; expected a "
            "list such as [15, 18, 21].",
        ),
        (
            [[4, 6, 8], 1, "ToyNeck", [256, 1, 2]],
            "toy.yaml, head row 1 (layer 9): ToyNeck takes at most 1 arguments (c2), found 3: [256, 1, 2]. Signature: "
            "ToyNeck(ch, c2, n=1).",
        ),
        (
            [[4, 6, 8], 1, "ToyNeck", []],
            "toy.yaml, head row 1 (layer 9): ToyNeck needs c2. Signature: ToyNeck(ch, c2, n=1).",
        ),
        (
            [[4, 6, 80], 1, "ToyNeck", [256]],
            "toy.yaml, head row 1 (layer 9): from 80 points nowhere; expected -1, or 0 to 8.",
        ),
        (
            [[4, 6], 1, "ToyConv", [256]],
            "toy.yaml, head row 1 (layer 9): ToyConv takes one feature map, but receives 2; pick one of them.",
        ),
        (
            [[4, 6], 1, "ToySum", []],
            "toy.yaml, head row 1 (layer 9): ToySum needs equal channels on all its inputs, found [64, 128].",
        ),
        (
            [-1, 1, "ToyConv", ["sixteen"]],
            "toy.yaml, head row 1 (layer 9): ToyConv: channels 'sixteen', expected a positive number. Signature: "
            "ToyConv(c1, c2, k=1, s=1).",
        ),
        (
            [-1, 1, "ToyConv", [64, {"kk": 3}]],
            "toy.yaml, head row 1 (layer 9): ToyConv has no argument 'kk'. Did you mean k? Signature: ToyConv(c1, c2, "
            "k=1, s=1).",
        ),
        (
            [-1, 6, "ToyConv", [64]],
            "toy.yaml, head row 1 (layer 9): ToyConv cannot repeat 2 times: it turns [256] channels into 16, and its "
            "constructor has no n.",
        ),
        ([-1, 1, "Convv", [64]], "toy.yaml, head row 1 (layer 9): unknown module 'Convv'. Did you mean Conv?"),
        (
            [-1, 1, "nn.Idenity", []],
            "toy.yaml, head row 1 (layer 9): unknown module 'nn.Idenity'. Did you mean nn.Identity?",
        ),
        (
            [[4, 6, 8], 1, "DyHead", [64, {"deform": "depthwse"}]],
            "toy.yaml, head row 1 (layer 9): DyHead: deform 'depthwse', expected dense or depthwise. Did you mean "
            "depthwise?",
        ),
        (
            [-1, 1, "Conv", [64, 3, 1, None, 3]],
            "toy.yaml, head row 1 (layer 9): Conv cannot be built: ValueError: in_channels must be divisible by groups. "
            "Signature: Conv(c1, c2, k=1, s=1, p=None, g=1, d=1, act=True).",
        ),
    ],
)
def test_bad_row_is_named(row, expected):
    assert expected == message(toy(head=[row, [[4, 6, 8], 1, "Detect", ["nc"]]]))


def test_one_level_module_after_several_levels_is_told_to_pick_one():
    head = [[[4, 6, 8], 1, "ToyNeck", [256]], [-1, 1, "Conv", [64]], [[4, 6, 8], 1, "Detect", ["nc"]]]

    assert (
        "toy.yaml, head row 2 (layer 10): Conv takes one feature map, but layer -1 emits 3 levels. Pick one with a row "
        "such as [-1, 1, Index, [64, 0]]."
    ) == message(toy(head=head))


def test_traceback_of_a_builtin_row_points_into_upstreams_file():
    with pytest.raises(GraphError) as error:
        build(toy(head=[[-1, 1, "Conv", []], [[4, 6, 8], 1, "Detect", ["nc"]]]))
    frames = traceback.extract_tb(error.value.__cause__.__traceback__)

    assert tasks.__file__ == frames[-1].filename
    assert "c1, c2 = ch[f], args[0]" == frames[-1].line


def test_model_survives_deepcopy_pickle_rebuild_and_fuse():
    model = build(toy(head=[[[4, 6, 8], 1, "ToyNeck", [256]], [-1, 1, "ToyDetect", ["nc", 2.0]]])).eval()
    image = torch.rand(1, 3, 64, 96)
    expected = model(image)[0]
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    rebuilt = build(model.yaml, nc=7)

    assert torch.equal(expected, copy.deepcopy(model)(image)[0])
    assert torch.equal(expected, pickle.loads(pickle.dumps(model))(image)[0])
    assert torch.equal(expected, loaded(image)[0])
    assert 7 == rebuilt.model[-1].nc
    assert torch.allclose(expected, model.fuse(verbose=False)(image)[0], rtol=1e-3, atol=1e-3)


def test_conv_subclass_that_fuse_would_silently_undo_is_refused():
    with pytest.raises(RegistrationError) as error:

        @register_module(paper=toy_blocks.PAPER)
        class GatedConv(Conv):
            def forward(self, x):
                return super().forward(x) * 0.5

    assert (
        "GatedConv: overrides forward of Conv but not forward_fuse, which Ultralytics puts in its place: what forward "
        "adds would vanish there. Override both, or hold a Conv instead of deriving from it."
    ) == str(error.value)


def test_c2f_subclass_that_export_would_silently_undo_is_refused():
    from ultralytics.nn.modules import C2f

    with pytest.raises(RegistrationError, match="overrides forward of C2f but not forward_split"):

        @register_module(paper=toy_blocks.PAPER)
        class GatedC2f(C2f):
            def forward(self, x):
                return super().forward(x) * 0.5


def test_a_name_of_ultralytics_is_refused():
    @register_module(paper=toy_blocks.PAPER, name="SPPF")
    class Mine(nn.Module):
        def forward(self, x):
            return x

    try:
        with pytest.raises(RegistrationError, match="'SPPF'.* has the name of a module of Ultralytics"):
            build(toy())
    finally:
        MODULES.remove("SPPF")


def test_an_unknown_parser_is_refused_with_the_tested_range():
    with pytest.raises(UnsupportedUltralyticsError) as error:
        parser.compile_parser("def parse_model(d, ch, verbose=True):\n    return None\n", "tasks.py", 1, "9.9.9")

    assert (
        "Ultralytics 9.9.9: parse_model has a shape that lwyolo does not know, so registered modules cannot be built. "
        f"Tested: {parser.OLDEST} to {parser.NEWEST}. Install one of these, or report the version."
    ) == str(error.value)


def test_the_installed_parser_is_a_known_one():
    import inspect

    source, _, _ = parser.source_of(inspect.unwrap(tasks.parse_model))

    assert parser.shape_of(source) in parser.KNOWN_SHAPES


def test_custom_head_keeps_the_loss_and_the_class_of_detect():
    model = build(toy(head=[[[4, 6, 8], 1, "ToyDetect", ["nc"]]]))

    assert isinstance(model.model[-1], Detect)
    assert [8.0, 16.0, 32.0] == model.model[-1].stride.tolist()


def test_inplace_forced_at_load_changes_no_registered_module():
    for spec in MODULES.values():
        assert not hasattr(spec.cls, "inplace")


def test_an_unknown_version_warns_once_and_builds(monkeypatch):
    warnings = []
    monkeypatch.setattr(seam.ultralytics.utils.LOGGER, "warning", warnings.append)
    monkeypatch.setattr(parser, "KNOWN_SHAPES", {})
    seam.uninstall()
    seam.install()
    seam.install()

    assert 1 == len(warnings)
    assert "is not among the tested versions (8.3.100 to 8.4.190)" in warnings[0]
    assert 3 == build(toy()).model[-1].nc
