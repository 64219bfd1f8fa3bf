"""Parameters of estimators in a form that `uns` and a file can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowdim._device import resolve_dtype

GIVEN = "given"
"""Stands for an array that was passed as `init`."""


def to_uns(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without what `uns` cannot hold: no None, no tuples, no lists.

    Numbers in a list become an array and other lists a dict with the keys "0", "1", ... An array
    of starting labels is recorded as "given"; random streams, which have moved on, are left out,
    and so is the file that a fit was kept in.
    """
    stored = {}
    for name, value in params.items():
        if name == "checkpoint":
            continue
        if name in ("init", "init_params") and not isinstance(value, str):
            stored[name] = GIVEN
        elif name == "dtype" and value is not None:
            stored[name] = str(resolve_dtype(value, value)).removeprefix("torch.")
        elif (kept := _storable(value)) is not None:
            stored[name] = kept
    return stored


def from_uns(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as they were before `to_uns`, without those that it left out."""
    params = {name: _plain(value) for name, value in stored.items()}
    for name in ("init", "init_params"):
        if params.get(name) == GIVEN:
            del params[name]
    if isinstance(params.get("annealing"), list):
        params["annealing"] = tuple(params["annealing"])
    for name in ("fixed", "background"):
        entries = params.get(name)
        if isinstance(entries, Mapping) and "0" in entries:
            params[name] = [entries[str(i)] for i in range(len(entries))]
    return params


def _storable(value: Any) -> Any:
    if value is None or isinstance(value, (np.random.Generator, np.random.RandomState)):
        return None
    if isinstance(value, (bool, int, float, str, np.generic, np.ndarray)):
        return value
    if isinstance(value, Mapping):
        items = {str(name): _storable(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item is not None}
    if isinstance(value, Sequence):
        if any(isinstance(item, (str, Mapping)) for item in value):
            return {str(i): _storable(item) for i, item in enumerate(value)}
        return np.asarray(value) if len(value) else None
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value
