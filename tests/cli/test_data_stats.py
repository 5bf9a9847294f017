"""`lwyolo data stats`, run as a user runs it."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from lwyolo.cli import main
from lwyolo.data.summary import describe

NAMES = ["defect", "rust", "uninstal", "burn", "defect", "dirty"]
SAMPLES = {"pin": [0, 1, 2], "Einsulator": [3, 4, 5]}
IMAGES = {"train": (6579, 951), "test": (1880, 272), "val": (940, 137)}
"""Images of each split that hold a pin, and of them those that also hold an insulator."""
FILES = ["index.html", "instances.csv", "report.json", "report.md"]


def hashed(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.blake2b(file.read_bytes()).hexdigest() for file in files}


def stats(capsys, *arguments: object) -> str:
    code = main(["data", "stats", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert 0 == code, err
    return out


@pytest.fixture(scope="module")
def users_set(tmp_path_factory) -> Path:
    """The user's set: 6011, 2000, 1832 pins in 9399 images, and 475, 508, 440 insulators in 1360 of these."""
    folder = tmp_path_factory.mktemp("users")
    pins = np.repeat([0, 1, 2], [6011, 2000, 1832]).tolist()
    insulators = np.repeat([3, 4, 5], [475, 508, 440]).tolist()
    rows: dict[str, list[str]] = {}
    names = {
        kind: [f"{split}/{n:05d}" for split, counts in IMAGES.items() for n in range(counts[kind])] for kind in (0, 1)
    }
    for kind, classes in enumerate((pins, insulators)):  # one for each image in turn, the rest once more from the first
        for number, cls in enumerate(classes):
            name = names[kind][number % len(names[kind])]
            rows.setdefault(name, []).append(f"{cls} .5 .5 .{cls + 1} .3\n")
    for kind in ("images", "labels"):
        for split in IMAGES:
            (folder / kind / split).mkdir(parents=True)
    for name, text in rows.items():
        (folder / "images" / f"{name}.jpg").touch()
        (folder / "labels" / f"{name}.txt").write_text("".join(text))
    content = {**{split: f"images/{split}" for split in IMAGES}, "names": NAMES, "samples": SAMPLES}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "data.yaml"


@pytest.fixture
def demo(tmp_path) -> Path:
    """Twelve images in three splits, the first of each without an instance; 4 of class 0 and 5 of class 1."""
    folder, shade = tmp_path / "set", 60
    for split, count in {"train": 7, "val": 2, "test": 3}.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / f"images/{split}/{number}.jpg"), np.full((120, 160, 3), shade, np.uint8))
            shade += 10
            row = f"{number % 2} .5 .5 .25 .25\n" if number else ""
            (folder / f"labels/{split}/{number}.txt").write_text(row)
    splits = {split: f"images/{split}" for split in ("train", "val", "test")}
    (folder / "data.yaml").write_text(yaml.safe_dump({**splits, "names": ["pin", "锈蚀"]}, allow_unicode=True))
    return folder / "data.yaml"


def test_the_users_set_gives_the_users_table(users_set, capsys):
    lines = stats(capsys, users_set, "--format", "md").splitlines()

    assert [
        "| sample | clsId- | clsName- | instanceNum | train | test | val |",
        "| :----: | :----: | :----: | :----: | :----: | :----: | :----: |",
        "| pin | 0-defect-6011 | 1-rust-2000 | 2-uninstal-1832 | 6579 | 1880 | 940 |",
        "| Einsulator | 3-burn-475 | 4-defect-508 | 5-dirty-440 | 951 | 272 | 137 |",
    ] == lines[:4]
    assert {"An image with two samples counts in both rows."} <= {line[-46:] for line in lines}
    assert "Rows written in label files: 11266; instances that Ultralytics trains on: 11266." in lines
    assert "| all | 9399 | 0 | 0 | 11266 |" in lines


def test_instances_of_each_split_stand_in_the_cells(users_set, capsys):
    lines = stats(capsys, users_set, "--format", "md", "--per-split").splitlines()

    # pins: one an image in order of train, test, val, then 444 once more in train; insulators likewise, then 63
    assert [
        "| pin | 0-defect-6011 (6011/0/0) | 1-rust-2000 (568/1432/0) | 2-uninstal-1832 (444/448/940) | 6579 | 1880 | 940 |",
        "| Einsulator | 3-burn-475 (475/0/0) | 4-defect-508 (476/32/0) | 5-dirty-440 (63/240/137) | 951 | 272 | 137 |",
    ] == lines[2:4]


def test_samples_come_from_a_file(demo, tmp_path, capsys):
    (tmp_path / "samples.yaml").write_text("samples: {both: [0, 1]}\n")

    assert "| both | 0-pin-4 | 1-锈蚀-5 |  | 6 | 2 | 1 |" in stats(
        capsys, demo, "--samples", tmp_path / "samples.yaml", "--format", "md"
    )


def test_csv_is_tidy(demo, capsys):
    rows = list(csv.DictReader(stats(capsys, demo, "--format", "csv").splitlines()))

    assert {
        "sample": "pin",
        "cls_id": "0",
        "cls_name": "pin",
        "split": "train",
        "instances": "3",
        "images": "3",
    } == rows[0]
    assert (6, "train test val train test val") == (len(rows), " ".join(row["split"] for row in rows))


def test_the_report_folder_holds_the_same_counts_in_four_files(demo, tmp_path, capsys):
    before = hashed(demo.parent)
    out = tmp_path / "report"
    printed = stats(capsys, demo, "--out", out, "--imgsz", "320")
    content = json.loads((out / "report.json").read_text(encoding="utf-8"))

    assert FILES == sorted(file.name for file in out.iterdir())
    assert before == hashed(demo.parent)
    assert {"train": [3, 3], "val": [0, 1], "test": [1, 1]} == dict(
        zip(content["statistics"]["splits"], content["statistics"]["instances"], strict=True)
    )
    # 40 x 30 px are medium, and 80 x 60 at 320 too
    assert [[0, 4, 0], [0, 5, 0]] == content["statistics"]["pixels"]["areas"]
    assert 1 + 2 * 3 == len((out / "instances.csv").read_text(encoding="utf-8").splitlines())
    assert "| pin | 0-pin-4 |  |  | 3 | 1 | 0 |" in (out / "report.md").read_text(encoding="utf-8")
    assert "data:image/jpeg" in (out / "index.html").read_text(encoding="utf-8")
    assert content["data"]["fingerprint"] == describe(demo).fingerprint
    assert content["data"]["fingerprint"] in printed


def test_no_images_leaves_pixels_and_thumbnails_out(demo, capsys, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("opened"))
    content = json.loads(stats(capsys, demo, "--no-images", "--format", "json"))

    assert None is content["statistics"]["pixels"]
    assert "data:image" not in stats(capsys, demo, "--no-images", "--format", "html")


def test_a_broken_image_is_dropped_where_images_are_opened(demo, capsys):
    (demo.parent / "images/train/1.jpg").write_bytes(b"no image")
    content = json.loads(stats(capsys, demo, "--format", "json"))

    assert {"train": 1, "val": 0, "test": 0} == {s["split"]: s["dropped"] for s in content["data"]["splits"]}
    assert (9, 8) == (content["data"]["rows_written"], content["data"]["instances_trained"])
    assert "Images were not opened" in stats(capsys, demo)


def test_chinese_reports(demo, tmp_path, capsys):
    text = stats(capsys, demo, "--lang", "zh", "--out", tmp_path / "report")

    assert "标注文件中的行数：9" in text
    assert "类别不均衡" in (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_read(demo, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()

    assert 2 == main(["data", "stats", str(demo), "--out", str(tmp_path / "full")])
    assert "not empty" in capsys.readouterr().err
    assert 2 == main(["data", "stats", str(demo), "--out", str(demo.parent / "images" / "train" / "report")])


def test_an_interrupted_report_leaves_nothing(demo, tmp_path, capsys, monkeypatch):
    import lwyolo.cli._data.stats as command

    def stop(path, _):
        path.touch()
        if path.name == "report.json":
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_text", stop)

    assert 130 == main(["data", "stats", str(demo), "--out", str(tmp_path / "report")])
    assert ["set"] == [file.name for file in tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["coco_cc53/annotations", "cplid_rf_coco", "cplid640"])
def test_real_sets_are_reported_and_not_touched(shared_data, name, tmp_path, capsys):
    before = hashed(shared_data / name)
    stats(capsys, shared_data / name, "--out", tmp_path / "report")
    content = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))

    assert before == hashed(shared_data / name)
    assert content["data"]["instances_trained"] == sum(map(sum, content["statistics"]["instances"]))
    assert content["data"]["instances_trained"] == sum(map(sum, content["statistics"]["pixels"]["areas"]))


def test_equal_images_of_two_splits_stand_beside_each_other(demo, capsys):
    (demo.parent / "images/val/0.jpg").write_bytes((demo.parent / "images/train/0.jpg").read_bytes())
    page = stats(capsys, demo, "--format", "html")

    leaks = page[page.index('id="leaks"') : page.index('id="classes"')]
    assert ["train: train/0.jpg", "val: val/0.jpg"] == re.findall(r"<br>([^<]*)</td>", leaks)
    assert 2 == leaks.count("data:image/jpeg")


def test_a_voc_set_keeps_its_counts(shared_data, capsys):
    lines = stats(capsys, shared_data / "cplid640", "--format", "md").splitlines()

    assert {"| insulator | 0-insulator-1321 |  |  | 575 | 182 | 91 |", "| all | 848 | 0 | 0 | 1569 |"} <= set(lines)


def test_the_script_is_the_command(demo, root):
    arguments = [str(demo), "--format", "csv"]
    runs = [
        subprocess.run([sys.executable, *door, *arguments], capture_output=True, text=True, check=True, cwd=root).stdout
        for door in (["scripts/dataset_report.py"], ["-m", "lwyolo", "data", "stats"])
    ]

    assert runs[0] == runs[1] != ""


def test_it_runs_without_torch(demo):
    code = (
        "import sys\nfrom lwyolo.cli import main\n"
        f"main(['data', 'stats', {str(demo)!r}, '--format', 'html'])\n"
        "print([name for name in ('torch', 'ultralytics', 'pandas') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.rstrip().endswith("[]")  # after a progress bar, on a slow machine
