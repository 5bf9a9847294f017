"""A warning where the splits of a run share images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from lwyolo.data.copies import equal_across
from lwyolo.errors import DataError
from lwyolo.hook import Hook, register_hook


@register_hook
class LeaksHook(Hook):
    """Looks for equal files across splits; what costs more, such as near-duplicates, `lwyolo data leaks` finds."""

    def on_pretrain_routine_end(self, trainer: Any) -> None:
        """Complete the section of the data, which the hook before this one in the alphabet fills."""
        if trainer.record.data is None:  # the reason was printed
            return
        data = str(trainer.args.data)
        try:
            leaks = equal_across(Path(data))
        except DataError as error:
            LOGGER.warning(f"lwyolo: the splits were not searched for shared images: {error}")
            return
        trainer.record.data = replace(trainer.record.data, leaks=leaks)
        if leaks.images:
            first, other = leaks.pairs[0]
            LOGGER.warning(
                f"lwyolo: {leaks.images} image{'s stand' if leaks.images > 1 else ' stands'} in more than one split, "
                f"such as {first} and {other}: metrics are too good. See them all: lwyolo data leaks {data}"
            )
        trainer.write_record()
