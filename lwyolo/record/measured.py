"""Files of measurements, as `lwyolo hardware` and `lwyolo calibrate` save them: JSON with a schema, read strictly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwyolo.errors import RecordError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Args:
        what: It holds, for messages.
        key: That only this kind has.
        schema: The version that is read.
        command: That writes one with `--save`.
    """

    what: str
    key: str
    schema: int
    command: str

    def parse(self, text: str, file: str) -> dict[str, Any]:
        """Return the content of a file.

        Raises:
            RecordError: It is no JSON, of another kind, or of another schema.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise RecordError(f"{file}: not readable as JSON: {error}") from error
        if not isinstance(content, dict) or self.key not in content:
            raise RecordError(f"{file}: holds no {self.what}. {self.command} --save {file} writes one.")
        if content.get("schema") != self.schema:
            found = content.get("schema")
            raise RecordError(f"{file}: schema {found!r}; this version of lwyolo reads schema {self.schema}.")
        return content

    def read(self, file: Path) -> str:
        """Return the text of a file.

        Raises:
            RecordError: It is missing, or cannot be read.
        """
        try:
            return file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RecordError(f"{file}: no such file. {self.command} --save {file} writes one.") from None
        except (OSError, ValueError) as error:
            raise RecordError(f"{file}: not readable: {error}") from error
