from __future__ import annotations

import pytest

from lwyolo.engine.files import find_yaml, load_model_yaml, split_scale, with_scale
from lwyolo.errors import GraphError

MODEL = "nc: 2\nscales: {n: [1, 1, 64], s: [1, 2, 64]}\nbackbone: []\nhead: []\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolov8n.yaml", ("yolov8", "n")),
        ("yolo11s-dyhead.yaml", ("yolo11-dyhead", "s")),
        ("yoloe-11m-seg.yaml", ("yoloe-11-seg", "m")),
        ("yolov8-dyhead.yaml", ("yolov8-dyhead", None)),
        ("yolov3-spp.yaml", ("yolov3-spp", None)),
        ("yolov8-mobilenetv3small.yaml", ("yolov8-mobilenetv3small", None)),
        ("exp2small/mine.yaml", ("mine", None)),
        ("exp2small/mine@x.yaml", ("mine", "x")),
    ],
)
def test_scale_is_read_from_the_file_name_alone(name, expected):
    assert expected == split_scale(name)


@pytest.mark.parametrize("name", ["yolov8.yaml", "a/yolov8-dyhead.yaml", "mine.yaml", "exp2small/yolo11-seg.yaml"])
@pytest.mark.parametrize("scale", ["n", "x"])
def test_a_name_with_a_scale_splits_into_the_two_again(name, scale):
    stem, found = split_scale(with_scale(name, scale))

    assert (name.rsplit("/", 1)[-1].removesuffix(".yaml"), scale) == (stem, found)


def test_digits_in_folder_names_do_not_matter(tmp_path):
    folder = tmp_path / "exp2small"
    folder.mkdir()
    (folder / "yolov8-toy2detect.yaml").write_text(MODEL)
    yaml = load_model_yaml(folder / "yolov8s-toy2detect.yaml")

    assert ("s", str(folder / "yolov8s-toy2detect.yaml")) == (yaml["scale"], yaml["yaml_file"])


def test_stock_names_are_found():
    file, scale = find_yaml("yolo11s.yaml")

    assert ("yolo11.yaml", "s") == (file.name, scale)


def test_missing_file_names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolov8-dyhaed.yaml").write_text(MODEL)
    with pytest.raises(GraphError) as error:
        find_yaml("yolov8n-dyhaedd.yaml")

    assert "yolov8n-dyhaedd.yaml: no such model YAML. Did you mean yolov8-dyhaed.yaml?" == str(error.value)


def test_a_list_is_no_model(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(GraphError) as error:
        load_model_yaml(tmp_path / "list.yaml")

    assert f"{tmp_path / 'list.yaml'}: found list, expected a mapping with nc:, backbone: and head:." == str(
        error.value
    )


def test_a_broken_yaml_names_file_and_line(tmp_path):
    (tmp_path / "broken.yaml").write_text("nc: [1\n")
    with pytest.raises(GraphError, match=r"broken.yaml: not readable as YAML: .* line 2"):
        load_model_yaml(tmp_path / "broken.yaml")


def test_python_tags_are_refused(tmp_path):
    (tmp_path / "code.yaml").write_text("nc: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(GraphError, match="could not determine a constructor for the tag"):
        load_model_yaml(tmp_path / "code.yaml")
