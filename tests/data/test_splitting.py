"""Splits: no image lost, no group cut, ratios met; and as Ultralytics reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lwyolo.data.formats.base import read
from lwyolo.data.index import image_files, label_file, read_data_yaml
from lwyolo.data.splitting import assign, check_ratios, plan_split, write_split
from lwyolo.errors import DataError, UsageError
from lwyolo.reports.data_split import split_table

RATIOS = (0.7, 0.1, 0.2)


@st.composite
def sets(draw):
    """Groups and instances of up to 60 images, and ratios."""
    images, classes = draw(st.integers(3, 60)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    groups = np.unique(rng.integers(0, draw(st.integers(3, 60)), images), return_inverse=True)[1]
    return (
        groups,
        rng.poisson(draw(st.sampled_from([0.1, 1, 5])), (images, classes)),
        draw(st.sampled_from([RATIOS, (0.8, 0.2), (1 / 3, 1 / 3, 1 / 3), (0.98, 0.01, 0.01)])),
    )


@given(sets(), st.integers(0, 100))
def test_groups_are_never_cut_and_no_split_has_more_than_its_share_and_one_group(drawn, seed):
    groups, instances, ratios = drawn
    split = assign(groups, instances, ratios, seed)

    assert len(groups) == len(split)
    assert all(1 == len(set(split[groups == group].tolist())) for group in range(groups.max() + 1))
    largest = np.bincount(groups).max()
    for index, ratio in enumerate(ratios):
        assert (split == index).sum() < ratio * len(groups) + largest
    assert min(len(ratios), groups.max() + 1) == len(set(split.tolist()))


@given(sets(), st.integers(0, 100))
def test_the_same_seed_splits_in_the_same_way(drawn, seed):
    assert assign(*drawn, seed).tolist() == assign(*drawn, seed).tolist()


def test_another_seed_splits_in_another_way():
    groups, instances = np.arange(50), np.ones((50, 1), np.int64)

    assert assign(groups, instances, RATIOS, 0).tolist() != assign(groups, instances, RATIOS, 1).tolist()


def test_equal_images_are_split_exactly():
    split = assign(np.arange(100), np.ones((100, 2), np.int64), RATIOS)

    assert [70, 10, 20] == np.bincount(split).tolist()


def worst(split: np.ndarray, instances: np.ndarray) -> float:
    """The largest deviation of a class's share from the ratio, in points."""
    shares = np.stack([instances[split == s].sum(axis=0) for s in range(3)]) / instances.sum(axis=0)
    return float(np.abs(shares - np.array(RATIOS)[:, None]).max() * 100)


def skewed(rng: np.random.Generator, images: int) -> np.ndarray:
    """Instances of twelve classes, the rarest of which is a five-hundredth of all."""
    frequency = np.geomspace(0.01, 1.5, 12)
    return rng.poisson(frequency, (images, 12))


@pytest.mark.parametrize("seed", range(3))
def test_no_class_is_off_by_an_instance_and_half_a_point(seed):
    rng = np.random.default_rng(seed)
    instances = skewed(rng, 2000)
    split = assign(np.arange(2000), instances, RATIOS, seed)

    for index, ratio in enumerate(RATIOS):
        off = np.abs(instances[split == index].sum(axis=0) - ratio * instances.sum(axis=0))
        assert (off < np.maximum(1, 0.005 * instances.sum(axis=0))).all()
    assert worst(split, instances) < min(worst(rng.choice(3, 2000, p=RATIOS), instances) for _ in range(20))


def test_groups_are_split_better_than_by_chance():
    rng = np.random.default_rng(1)
    instances, groups = skewed(rng, 2000), np.sort(rng.integers(0, 150, 2000))
    groups = np.unique(groups, return_inverse=True)[1]
    ours = worst(assign(groups, instances, RATIOS), instances)
    chance = [worst(rng.choice(3, groups.max() + 1, p=RATIOS)[groups], instances) for _ in range(20)]

    assert ours < np.median(chance) / 2


def save(file: Path, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save(file)


@pytest.fixture
def data(tmp_path, yolo_set) -> Path:
    """Twenty images in four flights of five; two of different flights are equal, and val repeats one of train."""
    labels = {f"{'train' if n < 15 else 'val'}/f{n // 5}_{n % 5}": f"{n % 3} .5 .5 .2 .2" for n in range(20)}
    file = yolo_set(tmp_path / "set", labels, kpt_shape=[2, 3], samples={"pin": [0, 1], "insulator": [2]})
    for seed, name in enumerate(labels):
        save(tmp_path / "set" / "images" / f"{name}.jpg", 1 if name == "train/f2_4" else seed)
    return file


def test_lists_are_read_as_ultralytics_reads_them_and_nothing_is_lost(data, tmp_path, tree_hash):
    before = tree_hash(data.parent)
    table = read(data)
    written = write_split(plan_split(table, RATIOS), tmp_path / "out", data)
    config = read_data_yaml(written)
    files = [file for split in config.sources for file in image_files(config, split)]

    assert {image.resolve() for image in table.images} == set(files)
    assert len(files) == len(table.images)
    assert all(label_file(file).is_file() for file in files)
    assert before == tree_hash(data.parent)
    assert {"data.yaml", "train.txt", "val.txt", "test.txt"} == {file.name for file in (tmp_path / "out").iterdir()}
    again = read(written)
    assert (table.names, table.samples, len(table)) == (again.names, again.samples, len(again))
    assert [2, 3] == yaml.safe_load(written.read_text())["kpt_shape"]


def test_ultralytics_trains_on_the_lists(data, tmp_path):
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    written = write_split(plan_split(read(data), RATIOS, near=False), tmp_path / "out")
    checked = check_det_dataset(str(written), autodownload=False)
    counts = [len(YOLODataset.get_img_files(_Plain(), checked[split])) for split in ("train", "val", "test")]

    assert [14, 2, 4] == counts


class _Plain:
    """What `get_img_files` reads of a data set."""

    prefix, fraction = "", 1.0


def test_flights_and_copies_stay_together(data):
    plan = plan_split(read(data), (0.5, 0.25, 0.25), group="prefix:_")
    split = {image.stem: int(plan.table.image_split[index]) for index, image in enumerate(plan.table.images)}

    assert all(1 == len({split[f"f{flight}_{n}"] for n in range(5)}) for flight in range(4))
    assert split["f0_1"] == split["f2_4"]
    assert 2 == plan.near
    assert "prefix:_ and near-duplicates" == plan.rule
    assert 3 == plan.group.max() + 1


def test_copies_may_be_parted_on_request(data):
    plan = plan_split(read(data), RATIOS, near=False)

    assert (0, 20) == (plan.near, plan.group.max() + 1)


def test_an_image_that_stood_in_two_splits_stands_in_one(data, tmp_path):
    (data.parent / "all.yaml").write_text(data.read_text().replace("val: images/val", "val: images"))
    table = read(data.parent / "all.yaml")
    plan = plan_split(table, RATIOS, near=False)

    assert (35, 20) == (len(table.images), len(plan.table.images))
    assert 20 == len(plan.table)


def test_the_splits_that_a_set_had_leave_no_trace(data):
    table = read(data)
    text = data.read_text().replace("train: images/train", "train: images/val", 1)
    (data.parent / "turned.yaml").write_text(text.replace("val: images/val", "val: images/train"))
    plans = [plan_split(one, RATIOS, near=False, seed=3) for one in (table, read(data.parent / "turned.yaml"))]

    assert [str(image) for image in plans[0].table.images] == [str(image) for image in plans[1].table.images]


def test_a_group_larger_than_a_split_is_said(data):
    plan = plan_split(read(data), (0.9, 0.05, 0.05), group="prefix:_", near=False)
    table = split_table(plan)

    assert "val: 5 % are 1 images, fewer than the largest group has" in " ".join(table.notes)
    assert ("images", "20") == table.rows[-1][:2]


def test_deviations_are_told_in_points(data):
    plan = plan_split(read(data), (0.5, 0.5), ("train", "val"), near=False)

    assert ("images", "20", "10", "50.0", "+0.0", "10", "50.0", "+0.0") == split_table(plan).rows[-1]


def test_more_splits_than_groups_are_refused(data, tmp_path):
    two = tmp_path / "groups.csv"
    two.write_text("image,group\n" + "".join(f"f{n // 5}_{n % 5},{n % 2}\n" for n in range(20)))

    with pytest.raises(DataError, match="2 groups of images cannot fill 3 splits"):
        plan_split(read(data), RATIOS, group=str(two), near=False)


@pytest.mark.parametrize(
    ("ratios", "names", "message"),
    [
        ((0.7, 0.2), ("train", "val", "test"), "2 ratios for 3 splits"),
        ((0.7, 0.2, 0.2), ("train", "val", "test"), "sum 1.1, expected shares that sum to 1"),
        ((1.2, -0.2), ("train", "val"), "expected shares that sum to 1"),
        ((0.8, 0.2), ("train", "vall"), "no split 'vall' in Ultralytics. Did you mean val?"),
        ((0.8, 0.2), ("train", "test"), "Ultralytics needs train and val"),
        ((0.8, 0.1, 0.1), ("train", "val", "val"), "each at most once"),
    ],
)
def test_ratios_that_make_no_splits_are_refused(ratios, names, message):
    with pytest.raises(UsageError) as error:
        check_ratios(ratios, names)

    assert message in str(error.value)


def test_labels_that_ultralytics_would_not_find_are_refused(tmp_path, voc_set):
    folder = voc_set(tmp_path / "voc", a={}, b={}, c={})
    plan = plan_split(read(folder), RATIOS, near=False)

    with pytest.raises(DataError, match="not the label file that Ultralytics reads .* --images link"):
        write_split(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_with_a_line_break_cannot_stand_in_a_list(tmp_path, yolo_set):
    data = yolo_set(tmp_path / "set", {"train/a\u2028b": None, "train/c": None, "val/d": None})

    with pytest.raises(DataError, match="a line break in a name cannot stand in a list"):
        write_split(plan_split(read(data), RATIOS, near=False), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_real_set_is_split_by_its_groups(shared_data):
    table = read(shared_data / "cplid640")
    plan = plan_split(table, RATIOS, group=str(shared_data / "cplid640" / "groups.csv"), near=False)
    images = np.bincount(plan.table.image_split)

    assert 848 == images.sum()
    assert all(abs(count / 848 - ratio) < 0.05 for count, ratio in zip(images, RATIOS, strict=True))
