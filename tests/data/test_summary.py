from __future__ import annotations

import subprocess
import sys

from lwyolo.data.summary import describe
from lwyolo.record import SampleCount, SplitCount


def test_a_record_holds_both_counts_and_names_dropped_images(small):
    record = describe(small)

    assert (8, 5) == (record.rows_written, record.instances_trained)
    reason = "line 1: class 9, but the data set has classes 0 to 2"
    assert (f"{small.parent / 'labels/train/d.txt'}: {reason}",) == record.problems
    assert 5 == sum(count.instances for count in record.classes)


def test_a_split_that_is_not_there_is_absent(small):
    record = describe(small)

    assert (SplitCount("train", 4, 1, 1), SplitCount("val", 1, 0, 0)) == record.splits
    assert SampleCount("pin", "train", 2) == record.samples[0]
    assert {"train", "val"} == {count.split for count in record.classes}


def test_describing_writes_nothing(small, tree_hash):
    before = tree_hash(small.parent)
    describe(small)

    assert before == tree_hash(small.parent)


def test_starts_without_torch_ultralytics_or_opencv():
    code = (
        "import sys, lwyolo.data.summary, lwyolo.data.convert, lwyolo.data.demo, lwyolo.data.formats.voc\n"
        "print([name for name in ('torch', 'ultralytics', 'cv2', 'pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == result.stdout.strip()
