"""A clean YOLO set, and one defect for each rule that can be planted in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from lwyolo.data.checks.context import Context, make_context, run_checks
from lwyolo.data.checks.rule import Finding
from lwyolo.data.formats.yolo import read_config
from lwyolo.data.index import read_data_yaml

GOOD = "0 0.5 0.5 0.2 0.2"
CLEAN = {
    "train/a": f"{GOOD}\n1 0.2 0.2 0.1 0.1\n2 0.8 0.8 0.1 0.1\n",
    "train/b": f"{GOOD}\n1 0.2 0.2 0.1 0.1\n2 0.8 0.8 0.1 0.1\n",
    "val/c": f"{GOOD}\n1 0.2 0.2 0.1 0.1\n",
    "val/d": "2 0.25 0.25 0.5 0.5\n",
}
Place = tuple[str, int]
Plant = Callable[[Path], Place]


def picture(
    folder: Path, name: str = "p.jpg", size: tuple[int, int] = (32, 32), label: str | None = GOOD, **options: object
):
    """Write an image into train, and its label."""
    file = folder / "images/train" / name
    Image.new("RGB", size, (90, 120, 60)).save(file, **options)
    if label is not None:
        file.parent.parent.parent.joinpath("labels/train", name).with_suffix(".txt").write_text(label)
    return file


def row(text: str | bytes, line: int = 2) -> Plant:
    """Plant rows behind a good one, or bytes as the whole label."""

    def plant(folder: Path) -> Place:
        picture(folder)
        label = folder / "labels/train/p.txt"
        label.write_bytes(text if isinstance(text, bytes) else f"{GOOD}\n{text}\n".encode())
        return "labels/train/p.txt", line

    return plant


def image(**options: object) -> Plant:
    """Plant an image that is saved with options."""

    def plant(folder: Path) -> Place:
        file = picture(folder, **options)
        return f"images/train/{file.name}", 0

    return plant


def content(change: Callable[[bytes], bytes], name: str = "p.jpg", size: tuple[int, int] = (32, 32)) -> Plant:
    """Plant an image whose bytes are changed."""

    def plant(folder: Path) -> Place:
        file = picture(folder, name, size)
        file.write_bytes(change(file.read_bytes()))
        return f"images/train/{name}", 0

    return plant


def gif(folder: Path) -> Place:
    picture(folder)
    Image.new("P", (32, 32)).save(folder / "images/train/p.jpg", format="GIF")
    return "images/train/p.jpg", 0


def turned(folder: Path) -> Place:
    exif = Image.Exif()
    exif[274] = 6
    picture(folder, exif=exif)
    return "images/train/p.jpg", 0


def sixteen(folder: Path) -> Place:
    picture(folder, "p.png")
    Image.new("I;16", (32, 32)).save(folder / "images/train/p.png")
    return "images/train/p.png", 0


def misplaced(folder: Path) -> Place:
    picture(folder, label=None)
    (folder / "labels/train/p.TXT").write_text(GOOD)
    return "labels/train/p.TXT", 0


def orphan(folder: Path) -> Place:
    (folder / "labels/val/o.txt").write_text(GOOD)
    return "labels/val/o.txt", 0


def unlabelled(folder: Path) -> Place:
    for label in (folder / "labels/val").iterdir():
        label.unlink()
    return "data.yaml", 2


def shared(folder: Path) -> Place:
    picture(folder)
    picture(folder, "p.png")
    return "labels/train/p.txt", 0


def ignored(folder: Path) -> Place:
    Image.new("P", (32, 32)).save(folder / "images/val/p.gif")
    return "images/val/p.gif", 0


def configured(folder: Path, **keys: object) -> None:
    content = yaml.safe_load((folder / "data.yaml").read_text())
    (folder / "data.yaml").write_text(yaml.safe_dump({**content, **keys}, sort_keys=False))


def train_list(*lines: str) -> Plant:
    """Plant a list of images for train; of its lines, the last is at fault."""

    def plant(folder: Path) -> Place:
        (folder / "images/train/list.txt").write_text("\n".join(lines))
        configured(folder, train="images/train/list.txt")
        return "images/train/list.txt", len(lines) if lines[-1].strip() != "./b.jpg" else len(lines) - 1

    return plant


def source_twice(folder: Path) -> Place:
    configured(folder, train=["images/train", "images/train"])
    return "data.yaml", 1


def val_is_train(folder: Path) -> Place:
    configured(folder, val="images/train")
    return "data.yaml", 2


def two_splits(folder: Path) -> Place:
    (folder / "images/train/c.jpg").symlink_to(folder / "images/val/c.jpg")
    (folder / "labels/train/c.txt").write_text(CLEAN["val/c"])
    return "images/train/c.jpg", 0


def test_shares(folder: Path) -> Place:
    configured(folder, test="images/val")
    return "data.yaml", 7


def cache(folder: Path) -> Place:
    picture(folder)
    (folder / "images/train.txt").write_text("./train/a.jpg\n./train/b.jpg\n")
    (folder / "images/val.txt").write_text("./train/p.jpg\n")
    configured(folder, train="images/train.txt", val="images/val.txt")
    return "data.yaml", 2


def unused(folder: Path) -> Place:
    configured(folder, names=["defect", "rust", "defect", "burn"])
    return "data.yaml", 3


def untrained(folder: Path) -> Place:
    configured(folder, names=["defect", "rust", "defect", "burn"])
    (folder / "labels/val/d.txt").write_text("3 0.25 0.25 0.5 0.5\n")
    return "data.yaml", 3


PLANTS: dict[str, Plant] = {
    "row-columns": row("1 0.5 0.5 0.1"),
    "row-comment": row("# made by a tool"),
    "row-text": row("rust 0.5 0.5 0.1 0.1"),
    "row-kinds": row("0 0.1 0.1 0.4 0.1 0.4 0.4"),
    "row-not-finite": row("1 nan 0.5 0.1 0.1"),
    "row-repeated": row(GOOD),
    "class-range": row("3 0.2 0.2 0.1 0.1"),
    "class-fraction": row("1.5 0.2 0.2 0.1 0.1"),
    "class-unused": unused,
    "class-untrained": untrained,
    "box-range": row("1 1.02 0.5 0.1 0.1"),
    "box-negative": row("1 0.2 0.2 -0.1 0.1"),
    "box-no-area": row("1 0.2 0.2 0 0.1"),
    "box-outside": row("1 0.95 0.5 0.2 0.1"),
    "box-tiny": row("1 0.2 0.2 0.003 0.1"),
    "box-twice": row("0 0.501 0.5 0.2 0.2"),
    "box-two-classes": row("1 0.5 0.5 0.2 0.2"),
    "label-missing": image(label=None),
    "label-empty": row(b"", 0),
    "label-unreadable": row(GOOD.encode("utf-16"), 0),
    "label-misplaced": misplaced,
    "label-orphan": orphan,
    "label-shared": shared,
    "split-unlabelled": unlabelled,
    "image-missing": train_list("./a.jpg", "./b.jpg", "./gone.jpg"),
    "image-unreadable": content(lambda data: data[: len(data) // 2]),
    "image-small": image(size=(9, 32)),
    "image-format": gif,
    "image-rewritten": content(lambda data: data + b"more"),
    "image-turned": turned,
    "image-16-bit": sixteen,
    "image-damaged": content(lambda data: data[: len(data) // 2], "p.bmp"),
    "image-ignored": ignored,
    "list-line-lost": train_list("./a.jpg ", "./b.jpg"),
    "source-twice": source_twice,
    "image-listed-twice": train_list("./a.jpg", "./b.jpg", "./a.jpg"),
    "val-is-train": val_is_train,
    "image-in-two-splits": two_splits,
    "test-shares-val": test_shares,
    "cache-shared": cache,
}


@pytest.fixture
def clean(tmp_path: Path, yolo_set: Callable[..., Path]) -> Path:
    """The folder of a clean set."""
    return yolo_set(tmp_path / "set", dict(CLEAN)).parent


@pytest.fixture(scope="session")
def plants() -> dict[str, Plant]:
    """A defect for each rule: it takes the folder of the clean set, and returns file and line of what is to be found."""
    return PLANTS


@pytest.fixture(scope="session")
def broken_jpeg() -> Callable[[Path], None]:
    """Return a function that writes a JPEG of 64 x 64 pixels without its second half, but with its end."""

    def write(file: Path) -> None:
        Image.effect_noise((64, 64), 80).convert("RGB").save(file)
        content = file.read_bytes()
        file.write_bytes(content[: len(content) * 6 // 10] + b"\xff\xd9")

    return write


@pytest.fixture(scope="session")
def context_of() -> Callable[..., Context]:
    """Return a function from a data YAML to what checks look at."""

    def make(data_yaml: Path, deep: bool = True) -> Context:
        config = read_data_yaml(data_yaml)
        return make_context(read_config(config), config, deep=deep)

    return make


@pytest.fixture(scope="session")
def check(context_of: Callable[..., Context]) -> Callable[..., list[Finding]]:
    """Return a function that checks a data YAML, with every rule."""
    return lambda data_yaml, deep=True: run_checks(context_of(data_yaml, deep))
