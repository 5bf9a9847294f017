from __future__ import annotations

import sys

import pytest
import torch

from lwyolo.errors import GraphError
from lwyolo.modules import timm_backbone
from lwyolo.modules.timm_backbone import SUITABLE, TimmBackbone, find_features

timm = pytest.importorskip("timm", reason="timm is an optional extra")

PUBLISHED = {  # channels at strides 8, 16, 32
    "starnet_s050": [32, 64, 128],
    "mobilenetv4_conv_small": [64, 96, 960],
    "mobilenetv4_conv_small_050": [32, 48, 480],
    "mambaout_femto": [96, 192, 288],  # its own layout is channels last
}


def message(*arguments, **named):
    with pytest.raises(GraphError) as error:
        TimmBackbone(*arguments, **named)
    return str(error.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_emits_the_channels_that_it_announces_at_strides_8_16_32(name):
    levels = TimmBackbone(3, name).eval()(torch.rand(1, 3, 64, 96))
    expected = [(1, c, 64 // stride, 96 // stride) for c, stride in zip(PUBLISHED[name], (8, 16, 32), strict=True)]

    assert PUBLISHED[name] == TimmBackbone.out_channels(3, name)
    assert expected == [tuple(level.shape) for level in levels]


def test_strides_are_chosen_by_the_row():
    levels = TimmBackbone(3, "starnet_s050", strides=[4, 8]).eval()(torch.rand(1, 3, 64, 64))

    assert [(1, 16, 16, 16), (1, 32, 8, 8)] == [tuple(level.shape) for level in levels]
    assert [16, 32] == TimmBackbone.out_channels(3, "starnet_s050", strides=[4, 8])


@pytest.mark.parametrize("c1", [1, 4])
def test_takes_images_of_other_than_three_channels(c1):
    assert [32, 64, 128] == [level.shape[1] for level in TimmBackbone(c1, "starnet_s050")(torch.rand(2, c1, 64, 64))]


def test_asking_for_channels_draws_no_random_numbers():
    find_features.cache_clear()
    state = torch.random.get_rng_state()
    TimmBackbone.out_channels(3, "starnet_s050")

    assert torch.equal(state, torch.random.get_rng_state())


SIZES = "images of 256x256 and 288x352"


@pytest.mark.parametrize(
    ("name", "why", "near"),
    [
        (
            "efficientvit_m0",
            f"has no feature map of stride 8 for {SIZES}; it has 16, 32.",
            "efficientvit_b0, efficientnet_lite0, repvit_m0_9",
        ),
        (
            "xcit_nano_12_p16_224",
            f"has no feature map of stride 8, 32 for {SIZES}; it has 16.",
            "cpubone_nano, tinynet_a, pvt_v2_b0",
        ),
        (
            "mobilevitv2_050",  # rounds the sides of odd maps up
            f"has no feature map of stride 32 for {SIZES}; it has 2, 4, 8, 16.",
            "mobilenetv2_100, mobilenetv3_small_100, mobileone_s0",
        ),
        (
            "coat_tiny",
            f"fails on {SIZES} (AssertionError: Input height (256) doesn't match model (224).).",
            "tinynet_a, fastvit_t8, convnextv2_atto",
        ),
        (
            "starnet_s05",
            f"is no model of timm {timm.__version__}. Did you mean starnet_s050?",
            "starnet_s050, starnet_s1, fasternet_t0",
        ),
    ],
)
def test_a_model_that_cannot_is_refused_with_some_that_can(name, why, near):
    assert f"TimmBackbone: {name!r} {why} Some that fit a detector: {near}." == message(3, name)
    with pytest.raises(GraphError):
        TimmBackbone.out_channels(3, name)


def test_nothing_is_fetched_by_a_name_that_points_elsewhere():
    assert "is no model of timm" in message(3, "hf-hub:someone/something")


def test_missing_timm_names_the_extra(monkeypatch):
    find_features.cache_clear()
    monkeypatch.setitem(sys.modules, "timm", None)

    assert message(3, "starnet_s050").startswith("TimmBackbone needs timm, which cannot be imported (")
    assert message(3, "starnet_s050").endswith("). Install it: pip install 'lwyolo[timm]'.")


def test_nothing_is_downloaded_unless_asked(monkeypatch):
    asked = []
    create = timm_backbone._create
    monkeypatch.setattr(timm_backbone, "_create", lambda *a, **options: asked.append(options) or create(*a, **options))
    find_features.cache_clear()
    TimmBackbone(3, "starnet_s050")

    assert [False] * len(asked) == [options.get("pretrained", False) for options in asked]
    assert asked


def test_image_stays_as_it_is_without_learned_weights():
    assert isinstance(TimmBackbone(3, "starnet_s050").normalize, torch.nn.Identity)


def weights_file(tmp_path, name="mobilenetv4_conv_small_050"):
    torch.manual_seed(1)
    state = timm.create_model(name).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    return str(tmp_path / "weights.pth"), state


def test_weights_of_a_file_are_loaded_and_the_image_normalised_for_them(tmp_path):
    file, state = weights_file(tmp_path)
    backbone = TimmBackbone(3, "mobilenetv4_conv_small_050", weights=file)
    cfg = timm.create_model("mobilenetv4_conv_small_050").pretrained_cfg
    image = torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))

    assert [] == [key for key, value in backbone.body.state_dict().items() if not torch.equal(value, state[key])]
    assert torch.equal((image - mean) / std, backbone.normalize(image))
    assert {"normalize.mean", "normalize.std"} <= set(backbone.state_dict())


def test_normalisation_of_a_grey_image_is_the_mean_over_colours(tmp_path):
    file, _ = weights_file(tmp_path, "starnet_s050")
    backbone = TimmBackbone(1, "starnet_s050", weights=file)

    assert [1, 1, 1, 1] == list(backbone.normalize.mean.shape)
    assert (0.485 + 0.456 + 0.406) / 3 == pytest.approx(backbone.normalize.mean.item())


def test_missing_weights_are_named(tmp_path):
    assert f"TimmBackbone: weights: {tmp_path}/none.pth: there is no such file." == message(
        3, "starnet_s050", weights=f"{tmp_path}/none.pth"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITABLE)
def test_every_model_that_is_suggested_fits(name):
    if not timm.is_model(name):
        pytest.skip(f"timm {timm.__version__} has no {name}")
    backbone = TimmBackbone(3, name)
    levels = backbone(torch.rand(2, 3, 96, 160))
    sum(level.mean() for level in levels).backward()

    assert [(12, 20), (6, 10), (3, 5)] == [tuple(level.shape[2:]) for level in levels]
    assert TimmBackbone.out_channels(3, name) == [level.shape[1] for level in levels]
    assert [] == [key for key, p in backbone.named_parameters() if p.grad is None]
    assert sum(p.numel() for p in backbone.parameters()) < 8e6
