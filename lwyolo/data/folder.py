"""A folder that is written whole or not at all, and never into a data set."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lwyolo.errors import UsageError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `out`: it becomes `out` at the end, and vanishes on any error or Ctrl-C.

    Raises:
        UsageError: `out` is a file, or a folder that is not empty.
    """
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{out.name}.tmp-", dir=out.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        if out.exists():
            out.rmdir()
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def refuse_existing(out: Path) -> None:
    """Refuse a folder to write that is there and holds something.

    Raises:
        UsageError: `out` is a file, or a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists and is not empty; choose another folder.")


def refuse_inside(out: Path, folders: Iterable[Path]) -> None:
    """Refuse a folder to write that lies in one of a data set, of which it would become a part.

    Raises:
        UsageError: `out` is one of `folders`, or lies below one.
    """
    above = {out.resolve(), *out.resolve().parents}
    inside = next((folder for folder in folders if folder.resolve() in above), None)
    if inside is not None:
        raise UsageError(f"{out}: lies in {inside}, a folder of the data set; choose a folder outside it.")
