"""Rules on image files: those that Ultralytics drops, rewrites, turns, or reads in another way than one thinks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lwyolo.data.checks.context import Context
from lwyolo.data.checks.rule import Finding, rule
from lwyolo.data.images import KINDS, SMALLEST

DROPS = "Drops the image with all its boxes."
SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N", "I")


@rule("image-missing", "error", what="A list names an image that is not there.", upstream=DROPS, repair="leave out")
def check_missing(context: Context) -> Iterator[Finding]:
    """Find lines of lists, or names of folders, that are no file."""
    for image in _dropped(context, "missing"):
        path = context.table.images[image]
        finding = context.at_list(image, f"no such image: {path}")
        if path.is_dir():
            finding = context.at_list(image, "a folder whose name ends as that of an image")
        elif not path.is_absolute() and (finding.file.parent / path).is_file():
            finding = context.at_list(image, f"{path} is looked for in the working folder; ./{path} is beside the list")
        yield finding


@rule(
    "image-unreadable", "error", upstream=DROPS, repair="leave out",
    what="An image that cannot be opened: empty, cut off, damaged, or no image at all.",
)  # fmt: skip
def check_unreadable(context: Context) -> Iterator[Finding]:
    """Find images whose header cannot be read, and JPEGs that end too early."""
    return (context.at_image(image, context.headers.reasons[image]) for image in _dropped(context, "unreadable"))


@rule(
    "image-small", "error", what=f"An image with a side under {SMALLEST} pixels.", upstream=DROPS, repair="leave out"
)  # fmt: skip
def check_small(context: Context) -> Iterator[Finding]:
    """Find tiny images."""
    return (context.at_image(image, context.headers.reasons[image]) for image in _dropped(context, "small"))


@rule(
    "image-format", "error", upstream=DROPS, repair="leave out",
    what="An image of a format that Ultralytics does not train on, whatever its name says; a GIF named `.jpg`.",
)  # fmt: skip
def check_format(context: Context) -> Iterator[Finding]:
    """Find images whose content is of another format."""
    return (context.at_image(image, context.headers.reasons[image]) for image in _dropped(context, "format"))


@rule(
    "image-rewritten", "warning", what="A JPEG with bytes after its end.", repair="trim",
    upstream="Decodes it and saves it anew over the original, at quality 100.",
)  # fmt: skip
def check_rewritten(context: Context) -> Iterator[Finding]:
    """Find JPEGs that a training changes on disk."""
    for image in context.headers.rewritten:
        if image not in context.headers.reasons and context.first[image] == image:
            yield context.at_image(image, "does not end as a JPEG does")


@rule(
    "image-turned", "warning", what="An image that its EXIF orientation turns or mirrors.",
    upstream="Turns it as EXIF says; boxes must have been drawn on the turned image.",
)  # fmt: skip
def check_turned(context: Context) -> Iterator[Finding]:
    """Find EXIF orientations other than upright."""
    turned = np.asarray(context.headers.orientation) > 1
    for image in context.distinct[turned[context.distinct]].tolist():
        if image not in context.headers.reasons:
            width, height = context.sizes[image].tolist()
            orientation = int(context.headers.orientation[image])
            yield context.at_image(image, f"EXIF orientation {orientation}: {width} x {height} pixels once turned")


@rule(
    "image-16-bit", "info", what="A grey image of 16 bits.", upstream="Keeps it, and takes the upper 8 bits alone."
)  # fmt: skip
def check_depth(context: Context) -> Iterator[Finding]:
    """Find images that lose half of their bits."""
    for image in context.distinct.tolist():
        if context.headers.modes[image] in SIXTEEN_BITS and image not in context.headers.reasons:
            yield context.at_image(image, f"mode {context.headers.modes[image]}")


@rule(
    "image-damaged", "error", deep=True, repair="leave out", what="An image that cannot be decoded to its end.",
    upstream="Keeps it: its scan does not decode. Training stops at it; in a JPEG it sees grey where data are lost.",
)  # fmt: skip
def check_damaged(context: Context) -> Iterator[Finding]:
    """Decode every image that the scan keeps."""
    for image, reason in context.damage.items():
        yield context.at_image(image, reason)


def _dropped(context: Context, kind: str) -> list[int]:
    """Return the images, each once, that Ultralytics drops for a kind of reason."""
    return [
        image
        for image in sorted(context.headers.reasons)
        if context.first[image] == image and _kind_of(context, image) == kind
    ]


def _kind_of(context: Context, image: int) -> str:
    if not context.table.images[image].is_file():
        return "missing"
    if 0 < context.sizes[image].min() < SMALLEST:
        return "small"
    if context.headers.kinds[image] and context.headers.kinds[image] not in KINDS:
        return "format"
    return "unreadable"
