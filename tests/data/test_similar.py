"""Equal files, perceptual hashes, and the search for pairs, held against slow and obvious versions of themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from lwyolo.data import copies
from lwyolo.data.copies import find_copies
from lwyolo.data.phash import MIRROR, Hashes, hash_file, hash_grey, hash_images, without_bars
from lwyolo.data.similar import count_bits, count_bits_by_table, join, near_pairs

RNG = np.random.default_rng(0)


def picture(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Something smooth that no other seed resembles."""
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def letterboxed(image: Image.Image) -> Image.Image:
    return ImageOps.pad(image, (320, 320), color=(114, 114, 114))


def padded_below(image: Image.Image) -> Image.Image:
    out = Image.new("RGB", (320, 320))
    out.paste(image)
    return out


def distance(one: Path, other: Path) -> int:
    """The fewest bits between any hash of one image and any of the other, or of its mirror image."""
    first, second = hash_file(one), hash_file(other)
    return min((a ^ b ^ m).bit_count() for a in first for b in second for m in (0, int(MIRROR)))


FOUND = {
    "saved at quality 30": lambda image: image,
    "half size": lambda image: image.resize((160, 120)),
    "stretched": lambda image: image.resize((320, 320)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "grey": lambda image: image.convert("L"),
    "cropped by 2 %": lambda image: image.crop((3, 2, 317, 238)),
    "mirrored": ImageOps.mirror,
    "letterboxed": letterboxed,
    "padded below": padded_below,
    "mirrored and letterboxed": lambda image: letterboxed(ImageOps.mirror(image)),
}
MISSED = {
    "cropped by 10 %": lambda image: image.crop((32, 24, 288, 216)),
    "rotated by 10 degrees": lambda image: image.rotate(10),
    "turned upside down": ImageOps.flip,
}


@pytest.mark.parametrize("change", FOUND)
def test_a_changed_copy_is_near(tmp_path, change):
    for seed in range(10):
        picture(seed).save(tmp_path / "original.jpg", quality=90)
        FOUND[change](picture(seed)).save(tmp_path / "copy.jpg", quality=30)

        assert distance(tmp_path / "original.jpg", tmp_path / "copy.jpg") <= 8


@pytest.mark.parametrize("change", MISSED)
def test_what_the_documentation_says_is_missed_is_missed(tmp_path, change):
    found = 0
    for seed in range(10):
        picture(seed).save(tmp_path / "original.jpg")
        MISSED[change](picture(seed)).save(tmp_path / "copy.jpg")
        found += distance(tmp_path / "original.jpg", tmp_path / "copy.jpg") <= 8

    assert found <= 2


def test_pictures_that_have_nothing_in_common_are_far(tmp_path):
    for seed in range(40):
        picture(seed).save(tmp_path / f"{seed}.jpg")
    bits = [hash_file(tmp_path / f"{seed}.jpg")[0] for seed in range(40)]

    assert min((bits[a] ^ bits[b]).bit_count() for a in range(40) for b in range(a)) > 8


def test_a_format_and_depth_make_no_difference(tmp_path):
    grey = picture(1).convert("L")
    grey.save(tmp_path / "a.png")
    grey.save(tmp_path / "a.bmp")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 256).save(tmp_path / "deep.png")

    assert hash_file(tmp_path / "a.png") == hash_file(tmp_path / "a.bmp") == hash_file(tmp_path / "deep.png")


def test_an_image_is_hashed_as_exif_turns_it(tmp_path):
    picture(2).save(tmp_path / "upright.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture(2).rotate(90, expand=True).save(tmp_path / "lying.jpg", exif=exif)

    assert distance(tmp_path / "upright.jpg", tmp_path / "lying.jpg") <= 4


def test_the_hash_is_the_signs_of_the_lowest_frequencies():
    grey = RNG.integers(0, 255, (32, 32), np.uint8)
    expected = ""
    for u in range(8):
        for v in range(8):
            total = sum(
                float(grey[y, x]) * np.cos(np.pi * (2 * y + 1) * u / 64) * np.cos(np.pi * (2 * x + 1) * v / 64)
                for y in range(32)
                for x in range(32)
            )
            expected += str(int(total > 0 and (u, v) != (0, 0)))

    assert int(expected, 2) == hash_grey(grey)


def test_the_mirror_image_has_the_mirrored_hash():
    grey = RNG.integers(0, 255, (32, 32), np.uint8)

    assert hash_grey(grey) ^ int(MIRROR) == hash_grey(np.ascontiguousarray(grey[:, ::-1]))


def test_bars_are_cut_off_and_nothing_else():
    inner = RNG.integers(0, 255, (40, 60), np.uint8)

    assert without_bars(inner) is None
    assert np.array_equal(inner, without_bars(np.pad(inner, ((10, 12), (5, 0)), constant_values=114)))


def test_a_picture_that_is_almost_all_bars_is_not_judged_by_the_rest():
    corner = np.pad(RNG.integers(0, 255, (8, 8), np.uint8), ((56, 0), (56, 0)))

    assert without_bars(corner) is None


def test_what_cannot_be_hashed_is_named(tmp_path):
    Image.new("RGB", (64, 64), (9, 9, 9)).save(tmp_path / "flat.png")
    picture(3).save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no image")
    files = [tmp_path / name for name in ("flat.png", "cut.jpg", "text.jpg", "none.jpg")]
    found = hash_images(files, np.arange(4))

    assert 0 == len(found.bits)
    assert "shows nothing but one colour" == found.reasons[0]
    assert "truncated" in found.reasons[1]
    assert "cannot be decoded: no image that Pillow can read" == found.reasons[2]
    assert "No such file" in found.reasons[3]


def test_damaged_images_never_stop_the_search(tmp_path):
    rng = np.random.default_rng(4)
    for suffix in ("jpg", "png", "bmp", "webp", "tif"):
        picture(4, (64, 48)).save(tmp_path / f"whole.{suffix}")
        whole = np.frombuffer((tmp_path / f"whole.{suffix}").read_bytes(), np.uint8)
        for _ in range(100):
            broken = whole.copy()
            broken[rng.integers(0, len(broken), 8)] = rng.integers(0, 255, 8)
            (tmp_path / f"broken.{suffix}").write_bytes(broken[: rng.integers(1, len(broken) + 1)].tobytes())

            assert isinstance(hash_file(tmp_path / f"broken.{suffix}"), (list, str))


def test_several_processes_find_what_one_finds(tmp_path):
    files = []
    for seed in range(7):
        files.append(tmp_path / f"{seed} 铁塔\n.jpg")
        picture(seed).save(files[-1])
    files[3].write_bytes(b"")
    one, three = (hash_images(files, np.arange(7), processes) for processes in (1, 3))

    assert one.image.tolist() == three.image.tolist()
    assert one.bits.tolist() == three.bits.tolist()
    assert [3] == list(one.reasons) == list(three.reasons)


def test_no_package_is_installed_for_a_file_that_is_no_image(tmp_path):
    """Ultralytics replaces `PIL.Image.open`, and its version would."""
    (tmp_path / "a.jpg").write_text("no image")
    code = (
        "import PIL.Image, sys\nfrom pathlib import Path\nfrom lwyolo.data.phash import hash_file\n"
        "PIL.Image.open = None\nprint(hash_file(Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.jpg"], capture_output=True, text=True, check=True)

    assert "cannot be decoded: no image that Pillow can read" == done.stdout.strip()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_bits_are_counted_with_old_and_new_numpy(values):
    expected = [bin(value).count("1") for value in values]

    assert expected == count_bits(np.array(values, dtype=np.uint64)).tolist()
    assert expected == count_bits_by_table(np.array(values, dtype=np.uint64)).tolist()


def components(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """The lowest index in each image's group, by walking."""
    label = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            label[a] = label[b] = min(label[a], label[b])
    return label


@given(st.data(), st.integers(1, 30))
def test_joining_finds_the_groups_that_walking_finds(data, n):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40))
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)

    assert components(n, pairs) == join(np.arange(n), both[:, 0], both[:, 1]).tolist()


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 4), st.integers(0, 8), st.sampled_from([1, 7, 2**20]))
def test_the_search_finds_what_comparing_one_by_one_finds(seed, n, splits, limit, at_once):
    from lwyolo.data import similar

    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**63, 4, dtype=np.uint64)
    bits = rng.choice(centres, n) ^ (np.uint64(1) << rng.integers(0, 63, n, dtype=np.uint64))
    bits = np.where(rng.random(n) < 0.3, bits ^ MIRROR, bits)
    split, content = rng.integers(0, splits, n), rng.integers(0, n, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "COMPARISONS", at_once)
        pairs, label = near_pairs(Hashes(np.arange(n), bits, {}), split, content, limit)

    close = {}
    for a in range(n):
        for b in range(a + 1, n):
            d = min(int(bits[a] ^ bits[b] ^ mask).bit_count() for mask in (np.uint64(0), MIRROR))
            if d <= limit and content[a] != content[b]:
                close[a, b] = d
    found = dict(
        zip(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), pairs.distance.tolist(), strict=True)
    )
    assert components(n, list(close)) == label.tolist()
    assert found.items() <= close.items()
    for image in range(n):
        for other in range(splits):
            all_of, shown = (
                [d for (a, b), d in some.items() if image in (a, b) and split[a + b - image] == other]
                for some in (close, found)
            )
            assert min(all_of, default=99) == min(shown, default=99)


def test_a_thousand_frames_of_one_scene_do_not_make_half_a_million_pairs():
    n = 1000
    split = np.arange(n) % 3
    pairs, label = near_pairs(Hashes(np.arange(n), np.full(n, 77, np.uint64), {}), split, np.arange(n), 8)

    assert len(pairs) <= 3 * n
    assert {0} == set(label.tolist())


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Equal: 0, 2, and the links 3 and 4. As long: 1, which differs in its last byte, and 5, in its middle."""
    content = bytes(20_000)
    texts = {"0": content, "1": content[:-1] + b"x", "2": content, "5": content[:10_000] + b"x" + content[10_001:]}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "3").symlink_to(tmp_path / "0")
    os.link(tmp_path / "2", tmp_path / "4")
    return [tmp_path / name for name in "012345"]


def test_equal_files_are_found_and_links_among_them(files):
    assert [0, 1, 0, 0, 0, 5] == find_copies(files).first.tolist()


def test_files_that_are_missing_or_empty_are_no_copies(tmp_path):
    for name in "ab":
        (tmp_path / name).touch()

    assert [0, 1, 2, 3] == find_copies([tmp_path / name for name in "abcd"]).first.tolist()


def test_only_copies_across_splits_are_looked_for(files, monkeypatch):
    read = []
    whole = copies._sha256
    monkeypatch.setattr(copies, "_sha256", lambda file: read.append(file.name) or whole(file))
    inside = find_copies(files, np.array([0, 0, 0, 0, 0, 1])).first

    assert ([], 0) == (read, inside[3])  # a link is equal without being read
    assert 0 == find_copies(files, np.array([0, 0, 1, 0, 1, 0])).first[2]


def test_a_limit_spares_reading_and_says_so(files):
    found = find_copies(files, most_bytes=50_000)

    assert 3 == found.unproven  # 0, 1 and 2: equal in size and middle
    assert [0, 1, 2, 0, 2, 5] == found.first.tolist()


def test_files_of_one_size_are_told_apart_without_reading_them_whole(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / str(number)).write_bytes(bytes([number]) * 10_000)
    monkeypatch.setattr(copies, "_sha256", lambda file: pytest.fail(f"{file} was read whole"))

    assert list(range(20)) == find_copies([tmp_path / str(number) for number in range(20)]).first.tolist()
