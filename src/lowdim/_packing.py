"""Nested values as JSON and arrays beside it, for files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from lowdim import _storage

Arrays = dict[str, np.ndarray]
#: What JSON holds, beside arrays.
PLAIN = (type(None), bool, int, float, str, np.generic)
#: The array that has the JSON.
VALUE = "value"


def packed(value: Any, name: str, arrays: Arrays, special: Callable[..., Any] | None = None) -> Any:
    """A value as JSON holds it; arrays are put aside under names that begin with `name`.

    Parameters
    ----------
    value : None, number, str, array, or dict, list or tuple of such
    name
    arrays
        Grows.
    special : callable, optional
        Takes any other value, its name, and a function that packs the items of a dict; returns a
        dict with its "kind".

    Raises
    ------
    TypeError
        It has no form in a file.
    """

    def inner(items: dict[str, Any]) -> dict[str, Any]:
        own = items.items()
        return {str(key): packed(item, f"{name}.{key}", arrays, special) for key, item in own}

    if isinstance(value, PLAIN):
        return _storage.plain(value)
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"kind": "array", "name": name}
    if isinstance(value, dict):
        return {"kind": "dict", "items": inner(value)}
    if isinstance(value, (list, tuple)):
        items = [packed(item, f"{name}.{i}", arrays, special) for i, item in enumerate(value)]
        return {"kind": type(value).__name__, "items": items}
    if special is None:
        raise TypeError(f"{name} is a {type(value).__name__}, which a file cannot hold.")
    return special(value, name, inner)


def unpacked(value: Any, arrays: Arrays, special: Callable[..., Any] | None = None) -> Any:
    """The inverse of `packed`; `special` takes a kind, its dict, and its unpacked items."""
    if not isinstance(value, dict):
        return value
    kind = value["kind"]
    if kind == "array":
        return arrays[value["name"]]
    if kind in ("list", "tuple"):
        items = [unpacked(item, arrays, special) for item in value["items"]]
        return tuple(items) if kind == "tuple" else items
    parts = {key: unpacked(item, arrays, special) for key, item in value["items"].items()}
    if kind == "dict":
        return parts
    if special is None:
        raise ValueError(f"The file has a {kind!r}, which this version does not know.")
    return special(kind, value, parts)


def as_arrays(value: Any) -> Arrays:
    """A nested value as arrays alone, for the file that a long fit is kept in."""
    arrays: Arrays = {}
    text = json.dumps(packed(value, VALUE, arrays))
    return {f"{VALUE}.json": np.array([text], dtype=object), **arrays}


def of_arrays(arrays: Arrays) -> Any:
    """The inverse of `as_arrays`."""
    return unpacked(json.loads(arrays[f"{VALUE}.json"][0]), arrays)
