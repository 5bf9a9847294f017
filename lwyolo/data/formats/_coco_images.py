"""Where the images of a COCO JSON lie: the file gives a name, and tools differ about the folder that it is meant in."""

from __future__ import annotations

import os
from pathlib import Path


class ImageFinder:
    """Looks for images beside a JSON and in the folders that are usual for it; where one was found, it looks first."""

    def __init__(self, file: Path, split: str) -> None:
        folder, above = file.parent, file.parent.parent
        set_name = file.stem.removeprefix("instances_")
        places = [folder, folder / "images", folder / set_name, folder / split, folder / "images" / set_name]
        places += [folder / "images" / split, above / "images" / set_name, above / "images" / split, above / "images"]
        places += [above / set_name, above / split, above]
        self._places = [str(place) for place in dict.fromkeys(places)]

    def find(self, name: str) -> str | None:
        """Return the path of an image, or `None`."""
        for at, place in enumerate(self._places):
            path = os.path.join(place, name)  # noqa: PTH118 - for each of a million images
            if os.path.isfile(path):  # noqa: PTH113
                self._places.insert(0, self._places.pop(at))
                return path
        return None

    def searched(self) -> list[str]:
        """Return the folders that it looks in, as far as they are there."""
        return [place for place in self._places if os.path.isdir(place)]  # noqa: PTH112
