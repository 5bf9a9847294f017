from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwyolo.errors import GraphError
from lwyolo.graph.activation import resolve_activation
from lwyolo.graph.resolve import scale_width
from lwyolo.graph.rows import Graph, read_graph


def yaml(*rows, **keys):
    return {"nc": 3, "backbone": list(rows), "head": [[-1, 1, "Detect", ["nc"]]], "yaml_file": "toy.yaml", **keys}


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ([1], "model YAML: found list, expected a mapping with backbone: and head:."),
        ({"head": []}, "model YAML: backbone: found None, expected a list of [from, repeats, module, args]."),
        (
            yaml([-1, 1, "Conv"]),
            "toy.yaml, backbone row 1 (layer 0): found [-1, 1, 'Conv'], expected [from, repeats, module, args].",
        ),
        (
            yaml([0, 1, "Conv", [8]]),
            "toy.yaml, backbone row 1 (layer 0): from 0 points nowhere; expected -1 (the image).",
        ),
        (
            yaml([-1, 1, "Conv", [8]], [3, 1, "Conv", [8]]),
            "toy.yaml, backbone row 2 (layer 1): from 3 points nowhere; expected -1, or 0 to 0.",
        ),
        (
            yaml(["a", 1, "Conv", [8]]),
            "toy.yaml, backbone row 1 (layer 0): from 'a', expected a layer number or a list of them.",
        ),
        (
            yaml([-1, 0, "Conv", [8]]),
            "toy.yaml, backbone row 1 (layer 0): repeats 0, expected an integer of at least 1.",
        ),
        (
            yaml([-1, 1, "Conv", 8]),
            "toy.yaml, backbone row 1 (layer 0): args 8, expected a list; Conv without arguments is written [].",
        ),
        (yaml([-1, 1, 5, []]), "toy.yaml, backbone row 1 (layer 0): module 5 is not a name."),
        (
            yaml([-1, 1, "Conv", [8]], scales={"n": [1, 1, 1024]}, scale="q"),
            "toy.yaml: scale 'q' is not in scales: n.",
        ),
        (
            yaml([-1, 1, "Conv", [8]], scales={"n": [1, 1]}),
            "toy.yaml: scales: n: found [1, 1], expected [depth, width, max_channels].",
        ),
    ],
)
def test_bad_yaml_names_file_and_row(yaml, message):
    with pytest.raises(GraphError) as error:
        read_graph(yaml)

    assert message == str(error.value)


def test_trailing_mapping_gives_arguments_by_name():
    row = read_graph(yaml([-1, 1, "Conv", [8, {"k": 3}]])).rows[0]

    assert ((8,), {"k": 3}) == (row.args, row.named)


@given(c2=st.integers(1, 4096), width=st.floats(0.1, 2.0), limit=st.integers(8, 2048))
def test_scaled_width_equals_upstreams_make_divisible(c2, width, limit):
    from ultralytics.utils.ops import make_divisible

    graph = Graph("", (), 80, width, limit, {})

    assert make_divisible(min(c2, limit) * width, 8) == scale_width(c2, graph)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nn.ReLU()", "ReLU()"),
        ("torch.nn.LeakyReLU(0.1)", "LeakyReLU(negative_slope=0.1)"),
        ("Hardswish", "Hardswish()"),
        ("nn.ReLU(inplace=True)", "ReLU(inplace=True)"),
    ],
)
def test_activation_is_looked_up_by_name(text, expected):
    assert expected == str(resolve_activation(text))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "nn.ReLU(__import__('os'))",
        "(open('x', 'w'), nn.ReLU())[1]",
        "os.nn.ReLU()",
        "lambda: 0",
        "nn.ReLU(",
        "x" * 3 + "[0]",
    ],
)
def test_activation_that_is_code_is_refused(text):
    with pytest.raises(GraphError) as error:
        resolve_activation(text, "toy.yaml")

    assert (
        f"toy.yaml: activation: {text!r} is refused: expected a class of torch.nn with literal arguments, such as "
        "nn.SiLU() or nn.LeakyReLU(0.1). Nothing of it was run."
    ) == str(error.value)


def test_unknown_activation_names_the_nearest():
    with pytest.raises(GraphError) as error:
        resolve_activation("nn.Relu()", "toy.yaml")

    assert "toy.yaml: activation: 'nn.Relu()' names no activation of torch.nn. Did you mean ReLU?" == str(error.value)
