"""The user's table, and what stands under it."""

from __future__ import annotations

from dataclasses import replace

import golden_cases as golden

from lwyolo.record import ClassCount, LeakRecord
from lwyolo.reports.data_words import Words
from lwyolo.reports.instances import instance_report, instances_table, splits_table, tidy_table
from lwyolo.reports.tables import render


def test_instances_of_each_split_stand_in_the_cells_in_the_users_order():
    table = instances_table(golden.POWER_LINE, per_split=True)

    assert [
        "| pin | 0-defect-6011 (4208/1202/601) | 1-rust-2000 (1400/400/200) | 2-uninstal-1832 (1282/367/183) | 6579 | 1880 | 940 |"
    ] == render(table, "markdown").split("\n")[2:3]
    assert "In brackets: instances in train/test/val." in table.notes


def test_a_split_that_is_not_there_is_a_dash_in_the_cells():
    data = replace(golden.CHINESE, classes=tuple(c for c in golden.CHINESE.classes if c.split != "test"))

    assert "0-锈蚀-7 (5/–/2)" == instances_table(data, per_split=True).rows[0][1]


def test_names_may_hold_hyphens_and_repeat():
    classes = (ClassCount("pin", 0, "a-1", "train", 3, 3), ClassCount("pin", 1, "a-1", "train", 4, 4))
    data = replace(golden.CHINESE, classes=classes)

    assert ("pin", "0-a-1-3", "1-a-1-4", "") == instances_table(data).rows[0][:4]


def test_dropped_images_have_a_column():
    table = splits_table(golden.CHINESE)

    assert ("split", "images", "background", "dropped", "instances") == table.header
    assert [("train", "88", "0", "7", "138"), ("val", "20", "1", "0", "39"), ("all", "108", "1", "7", "177")] == list(
        table.rows
    )


def test_both_counts_are_said():
    text = " ".join(instance_report(golden.POWER_LINE).split())

    assert "Rows written in label files: 11270; instances that Ultralytics trains on: 11266." in text


def test_images_in_more_than_one_split_are_told_with_a_pair():
    leaking = replace(golden.POWER_LINE, leaks=LeakRecord(2, (("a/x.jpg", "b/y.jpg"), ("c.jpg", "d.jpg"))))

    assert "Images in more than one split: 2, such as a/x.jpg = b/y.jpg." in instance_report(leaking)
    assert "more than one split" not in instance_report(replace(leaking, leaks=LeakRecord(0, ())))


def test_further_remarks_and_a_set_without_fingerprint():
    text = instance_report(replace(golden.POWER_LINE, fingerprint=""), remarks=("Polygons were reduced to boxes.",))

    assert ["Data: datasets/power-line.yaml.", "Polygons were reduced to boxes."] == text.split("\n")[-2:]


def test_the_tidy_table_has_a_row_for_each_class_and_split():
    lines = render(tidy_table(golden.POWER_LINE), "csv").split("\n")

    assert [
        "sample,cls_id,cls_name,split,instances,images",
        "pin,0,defect,train,4208,9",
        "pin,0,defect,test,1202,9",
        "pin,0,defect,val,601,9",
        "pin,1,rust,train,1400,9",
    ] == lines[:5]
    assert ("Einsulator,5,dirty,val,44,9", 19) == (lines[-1], len(lines))


def test_the_users_table_keeps_its_header_in_chinese():
    say = Words("zh")
    text = instance_report(golden.POWER_LINE, per_split=True, say=say)

    assert instances_table(golden.POWER_LINE).header == instances_table(golden.POWER_LINE, say=say).header
    assert "标注文件中的行数：11270；Ultralytics 实际训练的实例数：11266。" in text
    assert "括号内：train/test/val 中的实例数。" in text
    assert ("划分", "图像", "背景图像", "丢弃", "实例") == splits_table(golden.POWER_LINE, say=say).header
