"""What commands print: text for people, or one JSON object."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def print_result(
    facts: Mapping[str, Any], rows: Iterable[tuple[str, str]], *, as_json: bool
) -> None:
    """Print facts as JSON, or rows of a name and a text below each other."""
    if as_json:
        print(json.dumps(_plain(facts), indent=2, allow_nan=False))
        return
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}".rstrip())


def print_step(text: str, *, quiet: bool) -> None:
    """Say on stderr what is being done."""
    if not quiet:
        print(f"lowdim: {text}", file=sys.stderr)


def _plain(value: Any) -> Any:
    """A value as JSON has it; numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
