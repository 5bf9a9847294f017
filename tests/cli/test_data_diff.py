"""`lwyolo data diff`, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from PIL import Image

from lwyolo.cli import main

YAML = "train: images/train\nval: images/val\nnames: [pin, burn]\n"


@pytest.fixture
def versions(tmp_path):
    """Two versions: image b gone, c come, in a one box moved by 3.2 px, one of another class, one gone, one come."""
    labels = (
        {"train/a": "0 .5 .5 .5 .5\n1 .1 .1 .1 .1\n1 .9 .9 .1 .1\n", "train/b": "", "val/d": ""},
        {"train/a": "0 .5 .5 .5 .7\n0 .1 .1 .1 .1\n0 .9 .1 .1 .1\n", "train/c": "", "val/d": ""},
    )
    for name, files in zip(("v1", "v2"), labels, strict=True):
        for stem, text in files.items():
            for kind in ("images", "labels"):
                (tmp_path / name / kind / stem).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32)).save(tmp_path / name / f"images/{stem}.png")
            (tmp_path / name / f"labels/{stem}.txt").write_text(text)
        (tmp_path / name / "data.yaml").write_text(YAML)
    return str(tmp_path / "v1/data.yaml"), str(tmp_path / "v2/data.yaml")


EXPECTED = {
    "image added": 1, "image removed": 1, "image resplit": 0, "image altered": 0,
    "box added": 1, "box removed": 1, "box moved": 1, "box reclassified": 1,
}  # fmt: skip


def test_equal_versions_leave_with_0(versions, tmp_path, capsys):
    shutil.copytree(tmp_path / "v1", tmp_path / "copy")

    assert 0 == main(["data", "diff", versions[0], str(tmp_path / "copy/data.yaml")])
    assert "A and B are the same." in capsys.readouterr().out


def test_differences_leave_with_1_and_are_counted(versions, capsys):
    assert 1 == main(["data", "diff", *versions, "--format", "json"])
    found = json.loads(capsys.readouterr().out)

    assert EXPECTED == found["counts"]
    assert not found["same"]
    assert 2 == found["images_in_both"]
    assert [(0, "train", 1, 3, 2), (1, "train", 2, 0, -2)] == [
        (row["cls_id"], row["split"], row["a"], row["b"], row["delta"]) for row in found["instances"] if row["delta"]
    ]


def test_csv_has_a_row_for_every_change(versions, capsys):
    assert 1 == main(["data", "diff", *versions, "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    moved = next(row for row in rows if row["change"] == "box moved")

    assert {kind for kind, count in EXPECTED.items() if count} == {row["change"] for row in rows}
    assert sum(EXPECTED.values()) == len(rows)
    assert ("train/a.png", "0", "0", "1", "1", "3.2") == tuple(
        moved[key] for key in ("image", "cls_a", "cls_b", "line_a", "line_b", "shift_px")
    )


@pytest.mark.parametrize("fmt", ["table", "md"])
def test_tables_name_the_changes(versions, capsys, fmt):
    assert 1 == main(["data", "diff", *versions, "--format", fmt])
    out = capsys.readouterr().out
    cells = [
        [cell.strip() for cell in line.replace("|", "  ").split("  ") if cell.strip()] for line in out.splitlines()
    ]

    for expected in (
        ["images in both", "2"],
        ["boxes moved", "1"],
        ["0", "pin", "train", "1", "3", "+2"],
        ["all", "3", "3", "+0"],
        ["train/a.png", "0-pin", "0-pin", "1", "1", "3.2"],
        ["train/c.png", "–", "train"],
    ):
        assert expected in cells, out


def test_a_tolerance_in_pixels_decides_what_has_moved(versions, capsys):
    main(["data", "diff", *versions, "--tolerance", "3.3", "--format", "json"])

    assert EXPECTED | {"box moved": 0} == json.loads(capsys.readouterr().out)["counts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.yaml"], "no.yaml: no such file or folder."),
        (["--tolerance", "-1"], "'-1' is no number of pixels; expected 0 or more"),
        (["--tolerance", "nan"], "'nan' is no number of pixels; expected 0 or more"),
    ],
)
def test_what_cannot_be_compared_leaves_with_2(versions, capsys, arguments, message):
    given = [versions[0], *arguments] if arguments[0] == "no.yaml" else [*versions, *arguments]

    assert 2 == main(["data", "diff", *given])
    assert message in capsys.readouterr().err
