"""The words of a data set's report in English and Chinese: a sentence is looked up by its English."""

from __future__ import annotations

from lwyolo.errors import UsageError

CHINESE = {
    # the instance table and the splits
    "train, test, val: images of that split with at least one instance of the sample. An image with two samples counts "
    "in both rows.": "train、test、val：该划分中至少含有一个该样本实例的图像数。含有两种样本的图像在两行中都计数。",
    "In brackets: instances in train/test/val.": "括号内：train/test/val 中的实例数。",
    "Rows written in label files: {rows}; instances that Ultralytics trains on: {instances}.": (
        "标注文件中的行数：{rows}；Ultralytics 实际训练的实例数：{instances}。"
    ),
    "Images that Ultralytics drops: {count}.": "被 Ultralytics 丢弃的图像数：{count}。",
    "Images in more than one split: {count}, such as {pair}.": "出现在多个划分中的图像数：{count}，例如 {pair}。",
    "… and {count} more.": "……以及另外 {count} 条。",
    "Data: {data}, fingerprint {fingerprint}.": "数据：{data}，指纹 {fingerprint}。",
    "Data: {data}.": "数据：{data}。",
    "Images were not opened: one that is damaged counts as good here.": "未打开图像文件：损坏的图像在此按完好计数。",
    "split": "划分",
    "images": "图像",
    "background": "背景图像",
    "dropped": "丢弃",
    "instances": "实例",
    "all": "全部",
    # tables of statistics
    "id": "编号",
    "class": "类别",
    "sample": "样本",
    "weight": "权重",
    "Classes": "类别",
    "Classes: instances, then images with at least one": "类别：先为实例数，后为至少含一个实例的图像数",
    "{split}\nimages": "{split}\n图像",
    "Weights are those that Ultralytics trains with where cls_pw is set (its default, 0, sets none): 1 / instances "
    "in {split}, to that power, scaled to a mean of 1.": (
        "权重为设置 cls_pw 时 Ultralytics 训练所用的值（默认 0，即不加权）："
        "{split} 中实例数的倒数取该次幂，并缩放至均值为 1。"
    ),
    "Imbalance in {split}: the largest class has {ratio} times the instances of the smallest; normalised entropy "
    "{entropy} (1: all classes alike, 0: one class).": (
        "{split} 的类别不均衡：最大类别的实例数是最小类别的 {ratio} 倍；"
        "归一化熵 {entropy}（1：各类相同，0：只有一类）。"
    ),
    "Classes without an instance in {split}: {classes}.": "{split} 中没有实例的类别：{classes}。",
    "Boxes by area: small under 32², medium under 96², large from 96² px": (
        "按面积统计框：小于 32² 为小，小于 96² 为中，96² 像素及以上为大"
    ),
    "small": "小",
    "medium": "中",
    "large": "大",
    "at {imgsz}": "{imgsz} 下",
    "under 2 px": "小于 2 像素",
    "COCO's limits, for boxes in pixels of the image as it is loaded, and again at the training size, where the longer "
    "side is {imgsz} px. Under 2 px: boxes with such a side at the training size, which augmentation drops.": (
        "采用 COCO 的界限，先按图像原始像素，再按训练尺寸（长边 {imgsz} 像素）统计。"
        "小于 2 像素：训练尺寸下有一边如此小的框，数据增强会将其丢弃。"
    ),
    "Boxes without width or height: {count}.": "没有宽或高的框：{count}。",
    "Splits beside each other": "划分之间的比较",
    "splits": "划分",
    "Jensen-Shannon (bits)": "JS 散度（比特）",
    "Cramér's V": "Cramér's V",
    "KS of √area": "√面积的 KS 距离",
    "too few": "过少",
    "Jensen-Shannon and Cramér's V compare shares of classes, the Kolmogorov-Smirnov distance compares √area{unit}. "
    "0: alike, 1: nothing in common. No p-values: boxes of one image are not independent. Too few: under {few} "
    "instances.": (
        "JS 散度与 Cramér's V 比较类别比例，Kolmogorov-Smirnov 距离比较 √面积{unit}。"
        "0：相同，1：毫无共同之处。不给出 p 值：同一图像中的框并不独立。过少：不足 {few} 个实例。"
    ),
    " in pixels of the image": "（图像像素）",
    " as a share of the image": "（占图像的比例）",
    # the page
    "Data set {name}": "数据集 {name}",
    "training size {imgsz} px": "训练尺寸 {imgsz} 像素",
    "fingerprint {fingerprint}": "指纹 {fingerprint}",
    "Parts of this page": "本页内容",
    "Summary": "概要",
    "Images": "图像",
    "{count} background, {dropped} dropped": "背景 {count}，丢弃 {dropped}",
    "Instances": "实例",
    "{rows} rows written": "标注 {rows} 行",
    "{count} without an instance": "{count} 类没有实例",
    "{count} samples": "{count} 种样本",
    "Boxes in an image": "每幅图像的框数",
    "median, at most {most}": "中位数，最多 {most}",
    "Largest over smallest class": "最大与最小类别之比",
    "in {split}, entropy {entropy}": "{split} 中，熵 {entropy}",
    "Small boxes": "小框",
    "{share} at {imgsz} px": "{imgsz} 像素下 {share}",
    "sizes were not read": "未读取尺寸",
    "Problems": "问题",
    "Instance table": "实例表",
    "Instances by sample and class": "按样本与类别统计的实例",
    "Images of each split": "各划分的图像",
    "Sizes": "尺寸",
    "Shapes and places": "形状与位置",
    "Classes together": "类别共现",
    "Splits": "划分",
    "Leaks": "泄漏",
    "Examples": "示例",
    "rule": "规则",
    "severity": "级别",
    "file": "文件",
    "line": "行",
    "message": "说明",
    "What is wrong, and where": "问题及其位置",
    "No problem was found.": "未发现问题。",
    "Shown are {shown} of {count}; report.json holds all.": "共 {count} 条，显示 {shown} 条；report.json 含全部。",
    "Filter rows": "筛选行",
    "The picture shows the {shown} largest of {count} classes.": "图中为 {count} 个类别中最大的 {shown} 个。",
    "Instances of each class in {splits}, in this order": "各类别在 {splits} 中的实例数（按此顺序）",
    "{name}, {split}: {count} instances in {images} images": "{name}，{split}：{images} 幅图像中的 {count} 个实例",
    "Boxes by √area in pixels": "按 √面积（像素）统计的框",
    "of the image": "原始图像",
    "at the training size": "训练尺寸",
    "{label}: {low} to {high}: {count} boxes": "{label}：{low} 至 {high}：{count} 个框",
    "{count} boxes": "{count} 个框",
    "Boxes by width / height": "按宽高比统计的框",
    "Images by the number of boxes": "按框数统计的图像",
    "{split}: {count} images with {boxes} boxes": "{split}：{count} 幅图像含 {boxes} 个框",
    "Where the centres of boxes lie": "框中心的位置",
    "{name}: {count} boxes": "{name}：{count} 个框",
    "across {x}, down {y}: {count} boxes": "横向 {x}，纵向 {y}：{count} 个框",
    "Images that hold both classes": "同时含有两个类别的图像数",
    "{first} and {second}: {count} images": "{first} 与 {second}：{count} 幅图像",
    "{name}: {count} images": "{name}：{count} 幅图像",
    "all classes": "全部类别",
    "A dashed box is drawn as its row was written; Ultralytics drops it with its image.": (
        "虚线框按标注行绘制；Ultralytics 会将其连同图像一起丢弃。"
    ),
    "One image for each class, the rarest first.": "每个类别一幅图像，最少的类别在前。",
    "not readable": "无法读取",
    "Thumbnails are left out: images were not opened.": "未打开图像，故无缩略图。",
    "How the picture is read: point at a mark, or focus it and use the arrow keys.": (
        "读图方法：指向图中标记，或用键盘聚焦后按方向键。"
    ),
}
LANGUAGES = ("en", "zh")


class Words:
    """Says sentences in one language.

    Example:
        >>> Words("zh")("{count} boxes", count=3), Words()("{count} boxes", count=3)
        ('3 个框', '3 boxes')
    """

    def __init__(self, lang: str = "en") -> None:
        if lang not in LANGUAGES:
            raise UsageError(f"language {lang!r}: expected one of {', '.join(LANGUAGES)}.")
        self.lang = lang

    def __call__(self, english: str, **values: object) -> str:
        """Return a sentence with its values filled in."""
        text = english if self.lang == "en" else CHINESE[english]
        return text.format(**values) if values else text


ENGLISH = Words()
