"""Which module of the exported model a node belongs to, as torch's exporters write it into the file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"


def scopes(proto: Any) -> Iterator[tuple[str, str]]:
    """Modules that a node was called in: torch's exporters write them to its metadata, or into its name."""
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    if SCOPES in metadata and CLASSES in metadata:
        names, classes = (ast.literal_eval(metadata[key]) for key in (SCOPES, CLASSES))
        yield from ((name, cls.rpartition(".")[2]) for name, cls in list(zip(names, classes, strict=False))[1:-1])
    elif proto.name.startswith("/"):
        path, last = "", ""
        for segment in proto.name[1:].split("/")[:-1]:
            inside = path.removesuffix(last) if last and segment.startswith(f"{last}.") else f"{path}." if path else ""
            path, last = inside + segment, segment
            yield path, ""
