"""Units: what a stored number means, and how it is printed. Full precision is stored; rounding happens here only."""

from __future__ import annotations

MIB = 2**20
MISSING = "–"


def millions(count: float | None) -> str:
    """Format a count in millions: `2.86 M`."""
    return MISSING if count is None else f"{count / 1e6:.2f} M"


def gflops(value: float | None) -> str:
    """Format floating point operations, given in G (1 multiply-add = 2): `8.7 GFLOPs`."""
    return MISSING if value is None else f"{value:.1f} GFLOPs" if value >= 1 else f"{value:.3g} GFLOPs"


def giga_macs(count: float | None) -> str:
    """Format multiply-accumulates, given as a count: `4.372 GMACCs`."""
    return MISSING if count is None else f"{count / 1e9:.3f} GMACCs"


def mib(n_bytes: float | None) -> str:
    """Format bytes in MiB (2^20 bytes): `6.03 MiB`."""
    return MISSING if n_bytes is None else f"{n_bytes / MIB:.2f} MiB"


def milliseconds(value: float | None) -> str:
    """Format a time given in ms: `3.2 ms`."""
    return MISSING if value is None else f"{value:.1f} ms"


def fraction(value: float | None) -> str:
    """Format precision, recall or AP, given as 0 to 1: `0.374`."""
    return MISSING if value is None else f"{value:.3f}"
