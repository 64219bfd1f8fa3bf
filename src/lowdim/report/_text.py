"""Numbers and parameters as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_KINDS = {0: "point", 1: "line", 2: "plane"}


def number(value: float, digits: int = 4) -> str:
    """A number with `digits` significant digits, and separators where it is large."""
    value = float(value)
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "-∞"}.get(value, "–")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4:
        return f"{value:.{max(digits - 2, 0)}e}"
    decimals = max(digits - 1 - size, 0)
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def percent(share: float) -> str:
    """A share in percent; never 100% or 0% unless it is."""
    share = float(share)
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.01:
        return "< 1%"
    if 0.99 < share < 1:
        return "> 99%"
    return f"{100 * share:.0f}%"


def kind(dim: int, *, uniform: bool = False) -> str:
    """What a subspace of that dimension is called."""
    if uniform:
        return "uniform background"
    return _KINDS.get(int(dim), f"{int(dim)}-D flat")


def dims_text(dims: Any) -> str:
    """Dimensions as in "2,1,1"."""
    return ",".join(str(int(d)) for d in dims)


def count(n: int, noun: str) -> str:
    """A number of things, as in "1 row" and "2,000 rows"."""
    return f"{int(n):,} {noun}" + ("" if n == 1 else "s")


def parameter(value: Any) -> str:
    """A parameter as it would be written in a call; arrays by their shape."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.size <= 40:
            return "[" + ", ".join(parameter(item) for item in value) + "]"
        return f"array of shape {value.shape}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {parameter(item)}" for name, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
