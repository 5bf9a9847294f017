"""The verdict on images against the installed Ultralytics, on copies: it may write a file anew."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, features

from lwyolo.data import _header_pool, processes
from lwyolo.data.files import Files
from lwyolo.data.formats.base import read
from lwyolo.data.images import read_header, read_headers, with_headers

KINDS = [
    ("JPEG", ("RGB", "L", "CMYK"), ".jpg"),
    ("PNG", ("RGB", "RGBA", "L", "P", "1", "I;16"), ".png"),
    ("BMP", ("RGB", "L"), ".bmp"),
    ("TIFF", ("RGB", "L", "CMYK"), ".tif"),
    ("WEBP", ("RGB", "RGBA"), ".webp"),
    ("JPEG2000", ("RGB",), ".jp2"),
    ("GIF", ("P",), ".jpg"),
    ("PPM", ("RGB",), ".jpg"),
    ("MPO", ("RGB",), ".mpo"),
    *([("AVIF", ("RGB",), ".avif")] if features.check("avif") else []),
]


def drawn_image(rng: random.Random) -> tuple[bytes, str]:
    """Return an image of a random kind, and the suffix of its file, now and then that of another kind."""
    kind, modes, suffix = rng.choice(KINDS[:1] * 6 + KINDS)
    size = (rng.choice([8, 9, 10, 24, 40]), rng.choice([9, 10, 24, 40]))
    image = Image.frombytes("L", size, rng.randbytes(size[0] * size[1])).convert(rng.choice(modes))
    options: dict[str, object] = {}
    if kind in ("JPEG", "PNG", "WEBP", "TIFF", "MPO", "AVIF") and rng.random() < 0.5:
        tags = Image.Exif()
        tags[274] = rng.choice([0, 1, 2, 3, 5, 6, 7, 8, 9])
        options["exif"] = tags
    if kind == "JPEG":
        options |= {"progressive": rng.random() < 0.3, "optimize": rng.random() < 0.3}
        options |= {"comment": b"made by a tool"} if rng.random() < 0.2 else {}
    if kind == "MPO" or (kind in ("PNG", "WEBP", "TIFF", "GIF") and rng.random() < 0.2):
        options |= {"save_all": True, "append_images": [image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]}
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue(), suffix if rng.random() < 0.9 else rng.choice(KINDS)[2]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return the bytes as they are, or cut, overwritten, lengthened or emptied."""
    how = rng.choice(["none", "cut", "cut a little", "bytes", "head", "zeros", "trailing", "insert", "text", "empty"])
    at = rng.randrange(len(content))
    if how in ("cut", "cut a little"):
        return content[: at if how == "cut" else -rng.randint(1, 12)]
    if how in ("bytes", "head"):
        changed = bytearray(content)
        for _ in range(rng.randint(1, 6)):
            changed[rng.randrange(min(len(content), 64 if how == "head" else 10**9))] = rng.randrange(256)
        return bytes(changed)
    if how == "insert":
        return content[:at] + rng.randbytes(rng.randint(1, 9)) + content[at:]
    endings = {
        "none": content,
        "zeros": content[:at] + bytes(20) + content[at + 20 :],
        "text": b"no image",
        "empty": b"",
    }
    return endings.get(how, content + rng.choice([b"\0", b"\n", rng.randbytes(30), b"\xff\xd9"]))


def assert_agrees(folder: Path, seeds: range) -> tuple[int, int]:
    """Compare on one image for each seed; return how many were dropped and how many written anew."""
    from ultralytics.data.utils import verify_image_label

    files, contents = [], []
    for seed in seeds:
        rng = random.Random(seed)
        content, suffix = drawn_image(rng)
        contents.append(damaged(content, rng))
        files.append(folder / f"{seed}{suffix}")
        files[-1].write_bytes(contents[-1])
    headers = read_headers(Files.of(files))
    assert contents == [file.read_bytes() for file in files]
    expected = [verify_image_label((str(file), "none.txt", "", False, 3, 0, 2, False)) for file in files]
    dropped = {at for at, result in enumerate(expected) if result[0] is None}
    written = {at for at, file in enumerate(files) if file.read_bytes() != contents[at]}
    sizes = {at: result[2][::-1] for at, result in enumerate(expected) if at not in dropped}

    assert dropped == set(headers.reasons)
    assert written == set(headers.rewritten)
    assert sizes == {at: tuple(headers.sizes[at].tolist()) for at in sizes}
    return len(dropped), len(written)


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_installed_ultralytics_on_damaged_images(tmp_path):
    dropped, written = assert_agrees(tmp_path, range(500))

    assert dropped > 100  # the images are neither all good nor all bad
    assert dropped < 400
    assert written > 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_the_installed_ultralytics_on_five_thousand_damaged_images(tmp_path):
    assert_agrees(tmp_path, range(1000, 6000))


@pytest.mark.filterwarnings("ignore")
def test_agrees_on_an_image_of_too_many_pixels(tmp_path, monkeypatch):
    from ultralytics.data.utils import verify_image_label

    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg")
    Image.new("RGB", (40, 40)).save(tmp_path / "b.png")
    for limit, kept in ((900, True), (700, False)):  # twice the limit is 1,800 and 1,400, the image has 1,600
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        for file in tmp_path.iterdir():
            assert kept == (verify_image_label((str(file), "", "", False, 1, 0, 2, False))[0] is not None)
            assert kept == (read_header(str(file).encode()).reason is None)


def test_what_is_no_image_is_told(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")

    reason = "no image that Pillow can read; for such a file Ultralytics tries to install pi-heif"
    assert reason == read_header(str(tmp_path / "a.jpg").encode()).reason
    assert "no such image" == read_header(str(tmp_path / "b.jpg").encode()).reason


def test_reasons_of_small_images_and_other_formats_are_told(tmp_path):
    Image.new("RGB", (9, 30)).save(tmp_path / "small.jpg")
    Image.new("P", (30, 30)).save(tmp_path / "film.gif")
    (tmp_path / "folder.jpg").mkdir()
    headers = read_headers(Files.of([tmp_path / "small.jpg", tmp_path / "film.gif", tmp_path / "folder.jpg"]))

    assert {
        0: "9 x 30 pixels, expected at least 10 on each side",
        1: "GIF is no format that Ultralytics trains on",
        2: "a folder, not an image",
    } == headers.reasons
    assert ["JPEG", "GIF", ""] == list(headers.kinds)
    assert ["RGB", "P", ""] == list(headers.modes)
    assert [[9, 30], [30, 30], [0, 0]] == headers.sizes.tolist()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_turned_image_has_the_size_that_it_is_loaded_with(tmp_path, kind):
    tags = Image.Exif()
    tags[274] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "a", kind, exif=tags)
    header = read_header(str(tmp_path / "a").encode())

    assert (20, 40, kind, 6) == header[:4]


def test_a_jpeg_with_bytes_behind_its_end_is_told_and_left_alone(small, tree_hash):
    image = small.parent / "images/train/b.jpg"
    image.write_bytes(image.read_bytes() + b"\n")
    before = tree_hash(small.parent)
    table = with_headers(read(small))

    assert before == tree_hash(small.parent)
    remark = "JPEG files with bytes behind their end, which Ultralytics writes anew in place when it scans the set: 1"
    assert [f"{remark}, the first is {image}"] == list(table.remarks)
    assert 5 == len(table)


def test_dropped_images_lose_their_instances_and_are_named_before_their_labels(small):
    for name in ("a", "d"):  # the label of d is bad too
        (small.parent / f"images/train/{name}.jpg").write_bytes(b"")
    table = with_headers(read(small))

    assert [1, 4] == table.image.tolist()
    assert [0, 3] == [problem.image for problem in table.problems]
    assert [".jpg", ".jpg"] == [problem.file.suffix for problem in table.problems]
    assert [[0, 0], [32, 32], [32, 32], [0, 0], [32, 32]] == table.sizes.tolist()
    assert 8 == table.rows_written


def test_a_listed_image_that_is_missing_is_one_problem(tmp_path, yolo_set):
    file = yolo_set(tmp_path, {"train/a": "0 .5 .5 .2 .2", "val/c": ""}, train="list.txt")
    (tmp_path / "list.txt").write_text("./images/train/a.jpg\n./images/train/b.jpg\n")

    assert ["listed, but there is no such image"] == [problem.reason for problem in with_headers(read(file)).problems]


def test_several_processes_read_what_one_reads(tmp_path, monkeypatch):
    files = []
    for seed in range(60):
        rng = random.Random(seed)
        content, suffix = drawn_image(rng)
        files.append(tmp_path / f"{seed}{suffix}")
        files[-1].write_bytes(damaged(content, rng))
    monkeypatch.setattr("lwyolo.data._header_pool.STEP", 7)
    one, three = (read_headers(files, processes=processes) for processes in (1, 3))

    assert np.array_equal(one.sizes, three.sizes)
    assert np.array_equal(one.orientation, three.orientation)
    assert (list(one.kinds), list(one.modes)) == (list(three.kinds), list(three.modes))
    assert (one.reasons, one.rewritten) == (three.reasons, three.rewritten)


def test_processes_do_not_run_an_unguarded_main_file_again(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg")
    script = tmp_path / "train.py"
    script.write_text(
        "from pathlib import Path\nfrom lwyolo.data.images import read_headers\n"
        "print('started', len(read_headers([Path('a.jpg')] * 600, processes=2).reasons))\n"
    )
    result = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "started 0" == result.stdout.strip()


def test_more_processes_are_started_where_the_first_images_take_long(tmp_path, monkeypatch):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg")
    started = []

    def refuse(*args, **_options):
        started.append(args)
        raise OSError

    monkeypatch.setattr(_header_pool, "usable_cores", lambda: 3)
    monkeypatch.setattr(processes.subprocess, "Popen", refuse)
    for worth, times in ((1000.0, 0), (0.0, 2)):
        monkeypatch.setattr(_header_pool, "WORTH_S", worth)
        sizes = read_headers([tmp_path / "a.jpg"] * 600).sizes.tolist()

        assert (times, [[32, 32]] * 600) == (len(started), sizes)


def test_a_process_that_fails_is_made_up_for(tmp_path, monkeypatch):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg")
    monkeypatch.setattr("lwyolo.data.processes.PROGRAM", "raise SystemExit(1)")

    assert [[32, 32]] * 600 == read_headers([tmp_path / "a.jpg"] * 600, processes=2).sizes.tolist()


def test_pi_heif_is_used_where_it_is_installed(tmp_path, monkeypatch):
    (tmp_path / "pi_heif.py").write_text(
        "from PIL import Image, ImageFile\n"
        "class Heif(ImageFile.ImageFile):\n"
        "    format = 'HEIF'\n"
        "    def _open(self):\n"
        "        self._size, self._mode = (30, 20), 'RGB'\n"
        "def register_heif_opener():\n"
        "    Image.register_open('HEIF', Heif, lambda prefix: prefix.startswith(b'ftypheic'))\n"
    )
    (tmp_path / "a.heic").write_bytes(b"ftypheic")
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    before = read_header(str(tmp_path / "a.heic").encode())
    monkeypatch.syspath_prepend(tmp_path)

    assert "no image that Pillow can read" in before.reason
    assert (30, 20, "HEIF") == read_header(str(tmp_path / "a.heic").encode())[:3]


def test_no_image_is_decoded_and_nothing_is_installed(tmp_path, monkeypatch):
    import ultralytics.utils.patches  # noqa: F401 - replaces PIL.Image.open by one that may call pip

    def refuse(*_args, **_options):
        raise AssertionError

    monkeypatch.setattr(Image, "open", refuse)
    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg", exif=Image.Exif())
    Image.new("RGB", (32, 32)).save(tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"text")
    headers = read_headers([tmp_path / "a.jpg", tmp_path / "b.png", tmp_path / "c.jpg"])

    assert [2] == list(headers.reasons)


def test_real_images_are_read_as_pillow_reads_them(shared_data):
    files = sorted((shared_data / "coco_cc53/images").rglob("*.jpg"))
    headers = read_headers(files)
    expected = []
    for file in files:
        with Image.open(file) as image:
            expected.append((image.size, image.format, image.mode))

    assert expected == list(zip(map(tuple, headers.sizes.tolist()), headers.kinds, headers.modes, strict=True))
    assert {} == headers.reasons
